/** What every transport over real sockets promises; each implementation's test runs this suite. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListenAddress } from '../../base/config/listen.js';
import { addressText } from './address-words.js';
import {
  DATAGRAM_BYTES_MAX,
  DatagramClass,
  type DatagramTransport,
  RECEIVED_WORDS,
  WORD_ADDRESS,
  WORD_CLASS,
  WORD_FAMILY,
  WORD_HASH_HIGH,
  WORD_HASH_LOW,
  WORD_LENGTH,
  WORD_LOCAL,
  WORD_OFFSET,
  WORD_PORT,
} from './transport.js';

const LISTEN: readonly ListenAddress[] = [
  { kind: 'tcp', host: '127.0.0.1', port: 0 },
  { kind: 'tcp', host: '::1', port: 0 },
];
const LOOPBACK = { udp4: '127.0.0.1', udp6: '::1' };

interface Received {
  readonly family: number;
  readonly host: string;
  readonly port: number;
  readonly local: number;
  readonly datagramClass: number;
  readonly hash: string;
  readonly bytes: Buffer;
}

/** A socket of the other side. */
class Client {
  readonly received: Buffer[] = [];
  private constructor(
    readonly socket: Socket,
    readonly host: string,
  ) {
    socket.on('message', (bytes) => this.received.push(bytes));
  }
  static async open(type: 'udp4' | 'udp6', host: string = LOOPBACK[type]): Promise<Client> {
    const socket = createSocket(type);
    socket.bind(0, host);
    await once(socket, 'listening');
    return new Client(socket, host);
  }
  get port(): number {
    return this.socket.address().port;
  }
  send(transport: DatagramTransport, local: number, bytes: Uint8Array): Promise<void> {
    const { port, host } = transport.addresses()[local]!;
    return new Promise((resolve, reject) => {
      this.socket.send(bytes, port, host, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** Reads all batches as they come, until `count` datagrams are there. */
export class Reader {
  readonly received: Received[] = [];
  private arrived: () => void = () => {};
  constructor(readonly transport: DatagramTransport) {
    transport.onReadable(() => this.read());
  }
  private read(): void {
    const { transport } = this;
    for (let count = transport.receive(); count > 0; count = transport.receive()) {
      for (let index = 0; index < count; index++) this.take(index * RECEIVED_WORDS);
      transport.release();
    }
    this.arrived();
  }
  private take(at: number): void {
    const { words, bytes } = this.transport;
    const start = words[at + WORD_OFFSET]!;
    this.received.push({
      family: words[at + WORD_FAMILY]!,
      host: addressText(words[at + WORD_FAMILY]!, words, at + WORD_ADDRESS),
      port: words[at + WORD_PORT]!,
      local: words[at + WORD_LOCAL]!,
      datagramClass: words[at + WORD_CLASS]!,
      hash: `${words[at + WORD_HASH_LOW]} ${words[at + WORD_HASH_HIGH]}`,
      bytes: Buffer.from(bytes.subarray(start, start + words[at + WORD_LENGTH]!)),
    });
  }
  async until(count: number): Promise<readonly Received[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => {
        this.arrived = resolve;
      });
    }
    return this.received;
  }
}

/** The first octets of a PFCP message, and some more. */
export function message(type: number, length = 16, fill = 0): Buffer {
  const bytes = Buffer.alloc(length, fill);
  bytes.set([0x20, type, 0, length - 4].slice(0, length));
  return bytes;
}

async function poll(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Waits until everything that the kernel holds was taken from it. */
async function drained(transport: DatagramTransport): Promise<void> {
  for (let before = -1; before !== transport.statistics().received; ) {
    before = transport.statistics().received;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export function transportContract(
  name: string,
  open: (listen: readonly ListenAddress[]) => Promise<DatagramTransport>,
): void {
  describe(`transport contract: ${name}`, () => {
    let transport: DatagramTransport;
    let clients: Client[];
    const client = async (type: 'udp4' | 'udp6', host?: string): Promise<Client> => {
      const opened = await Client.open(type, host);
      clients.push(opened);
      return opened;
    };
    const reply = (to: Received, bytes: Uint8Array): boolean => {
      const words = new Uint32Array(4);
      // The words of the batch are gone by now.
      const parts = to.host.split('.').map(Number);
      if (to.family === 4) words[0] = parts.reduce((word, part) => word * 256 + part, 0);
      else words[3] = 1;
      return transport.send(to.local, to.family, words, 0, to.port, bytes, 0, bytes.length);
    };
    beforeEach(async () => {
      clients = [];
      transport = await open(LISTEN);
    });
    afterEach(async () => {
      for (const { socket } of clients) socket.close();
      await transport.close();
    });

    it('says which ports it has bound', () => {
      const [v4, v6] = transport.addresses();
      expect(v4).toMatchObject({ family: 4, host: '127.0.0.1' });
      expect(v6).toMatchObject({ family: 6, host: '::1' });
      expect(v4!.port).toBeGreaterThan(0);
      expect(v6!.port).toBeGreaterThan(0);
    });

    it.each([
      ['udp4', 0, 4, '127.0.0.1'],
      ['udp6', 1, 6, '::1'],
    ] as const)('carries %s both ways', async (type, local, family, host) => {
      const reader = new Reader(transport);
      const from = await client(type);
      await from.send(transport, local, message(5));
      const [received] = await reader.until(1);
      expect(received).toMatchObject({ family, host, port: from.port, local });
      expect(received!.bytes).toEqual(message(5));
      expect(reply(received!, message(6, 30, 7))).toBe(true);
      transport.flush();
      await poll(() => from.received.length > 0);
      expect(from.received).toEqual([message(6, 30, 7)]);
      const statistics = transport.statistics();
      expect(statistics).toMatchObject({ received: 1, receivedBytes: 16, waiting: 0 });
      await poll(() => transport.statistics().sent === 1);
      expect(transport.statistics().sentBytes).toBe(30);
    });

    it('carries every size there is', async () => {
      const reader = new Reader(transport);
      const from = await client('udp4');
      const sizes = [0, 1, 7, 8, 63, 64, 65, 1400, 1472, 9000, DATAGRAM_BYTES_MAX];
      for (const [index, size] of sizes.entries()) {
        await from.send(transport, 0, message(5, size, index));
        const all = await reader.until(index + 1);
        expect(all[index]!.bytes.length).toBe(size);
        expect(all[index]!.bytes.equals(message(5, size, index))).toBe(true);
        expect(reply(all[index]!, all[index]!.bytes)).toBe(true);
        transport.flush();
        await poll(() => from.received.length > index);
        expect(from.received[index]!.equals(all[index]!.bytes)).toBe(true);
      }
    });

    it('refuses to send what is longer than a datagram', () => {
      const bytes = new Uint8Array(DATAGRAM_BYTES_MAX + 1);
      const address = new Uint32Array([0x7f000001, 0, 0, 0]);
      expect(transport.send(0, 4, address, 0, 9, bytes, 0, bytes.length)).toBe(false);
      expect(transport.statistics().sendFull).toBe(1);
    });

    it('keeps the order of one peer and class, through many batches', async () => {
      const reader = new Reader(transport);
      const from = await client('udp4');
      for (let index = 0; index < 500; index++) {
        const bytes = message(52, 400);
        bytes.writeUInt32BE(index, 8);
        await from.send(transport, 0, bytes);
        if (index % 100 === 99) await reader.until(index + 1);
      }
      const order = (await reader.until(500)).map(({ bytes }) => bytes.readUInt32BE(8));
      expect(order).toEqual(Array.from({ length: 500 }, (_, index) => index));
    });

    it('tells the class by the message type', async () => {
      const reader = new Reader(transport);
      const from = await client('udp4');
      const classes = new Map<number, DatagramClass>([
        [5, DatagramClass.Control],
        [51, DatagramClass.Control],
        [54, DatagramClass.Control],
        [57, DatagramClass.Control],
        [3, DatagramClass.Modification],
        [52, DatagramClass.Modification],
        [50, DatagramClass.Establishment],
        [0, DatagramClass.Establishment],
        [200, DatagramClass.Establishment],
      ]);
      for (const [index, [type, expected]] of [...classes].entries()) {
        await from.send(transport, 0, message(type));
        expect((await reader.until(index + 1))[index]!.datagramClass).toBe(expected);
      }
    });

    it('hashes equal payloads alike and others apart, wherever they come from', async () => {
      const reader = new Reader(transport);
      const [a, b] = [await client('udp4'), await client('udp4')];
      await a.send(transport, 0, message(50, 377, 1));
      await reader.until(1);
      await b.send(transport, 0, message(50, 377, 1));
      await reader.until(2);
      await b.send(transport, 0, message(50, 377, 2));
      const [first, second, third] = (await reader.until(3)).map(({ hash }) => hash);
      expect(second).toBe(first);
      expect(third).not.toBe(first);
    });

    it('drops and counts what the allow-list does not have', async () => {
      const reader = new Reader(transport);
      const [listed, other] = [await client('udp4', '127.0.0.2'), await client('udp4')];
      transport.setAllowed(['127.0.0.2/32', '::/0']);
      await other.send(transport, 0, message(5, 20));
      await poll(() => transport.statistics().notAllowed === 1);
      await listed.send(transport, 0, message(5, 21));
      const v6 = await client('udp6');
      await reader.until(1);
      await v6.send(transport, 1, message(5, 22));
      await reader.until(2);
      transport.setAllowed([]);
      await other.send(transport, 0, message(5, 23));
      const lengths = (await reader.until(3)).map(({ bytes }) => bytes.length);
      expect(lengths).toEqual([21, 22, 23]);
    });

    it('sheds establishments before all else when nobody reads', async () => {
      const from = await client('udp4');
      await from.send(transport, 0, message(5, 20));
      for (let sent = 0; sent < 100_000; sent += 200) {
        const part: Promise<void>[] = [];
        for (let index = 0; index < 200; index++)
          part.push(from.send(transport, 0, message(50, 400)));
        await Promise.all(part);
        // Sending alone would keep the sockets of this process from being read.
        await new Promise((resolve) => setImmediate(resolve));
        if (transport.statistics().shed[DatagramClass.Establishment]! > 0) break;
      }
      await drained(transport);
      await from.send(transport, 0, message(52, 21));
      await from.send(transport, 0, message(54, 22));
      await drained(transport);
      const { shed, shedByPeer } = transport.statistics();
      expect(shed[DatagramClass.Establishment]).toBeGreaterThan(0);
      expect(shed.slice(0, 2)).toEqual([0, 0]);
      expect(shedByPeer).toEqual([{ address: '', shed }]);
      const reader = new Reader(transport);
      const has = (length: number) => reader.received.some(({ bytes }) => bytes.length === length);
      await poll(() => [20, 21, 22].every(has));
    });

    it('says what keeps it from binding', async () => {
      const { port } = transport.addresses()[0]!;
      const taken = open([{ kind: 'tcp', host: '127.0.0.1', port }]);
      await expect(taken).rejects.toMatchObject({
        code: 'unavailable',
        field: 'n4.listen',
        message: expect.stringMatching(`127.0.0.1:${port} is already in use`),
      });
      const foreign = open([{ kind: 'tcp', host: '203.0.113.7', port: 0 }]);
      await expect(foreign).rejects.toMatchObject({
        message: expect.stringContaining('is no address of this machine'),
      });
    });

    it('is closed once and for all', async () => {
      const { port } = transport.addresses()[0]!;
      await Promise.all([transport.close(), transport.close()]);
      expect(transport.receive()).toBe(0);
      const address = new Uint32Array([0x7f000001, 0, 0, 0]);
      expect(transport.send(0, 4, address, 0, 9, message(5), 0, 16)).toBe(false);
      const again = await open([{ kind: 'tcp', host: '127.0.0.1', port }]);
      await again.close();
    });
  });
}
