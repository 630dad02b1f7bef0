import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { openNativeTransport } from './native-transport.js';
import { Reader, transportContract } from './transport.contract.js';
import { FLAG_ANSWERED, WORD_FLAGS } from './transport.js';

transportContract('native', openNativeTransport);

it('answers Heartbeat Requests by itself, and shows them while it is observed', async () => {
  const transport = await openNativeTransport([{ kind: 'tcp', host: '127.0.0.1', port: 0 }]);
  const client = createSocket('udp4');
  try {
    const request = Buffer.from('2001000c0000070000600004ea000000', 'hex');
    const { port } = transport.addresses()[0]!;
    const answerOf = async (): Promise<string> => {
      client.send(request, port, '127.0.0.1');
      const [answer] = (await once(client, 'message')) as [Buffer];
      return answer.toString('hex');
    };
    transport.setHeartbeat(0xea123456);
    transport.progress();
    expect(await answerOf()).toBe('2002000c0000070000600004ea123456');
    expect(transport.receive()).toBe(0);
    transport.setObserved(true);
    const reader = new Reader(transport);
    expect(await answerOf()).toBe('2002000c0000070000600004ea123456');
    const [shown] = await reader.until(1);
    expect(shown!.bytes).toEqual(request);
    expect(transport.words[WORD_FLAGS]).toBe(FLAG_ANSWERED);
    expect(transport.statistics()).toMatchObject({ heartbeatsAnswered: 2, sent: 2, received: 2 });
  } finally {
    client.close();
    await transport.close();
  }
});
