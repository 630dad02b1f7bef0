import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { run } from '../program.js';

/** Answers every request with a cause, and establishments with a SEID. */
function answerOf(request: Buffer, cause: number): Buffer {
  const header = (request[0]! & 1) !== 0 ? 16 : 8;
  const seid = Buffer.from('0039000d02000000000000000cc0000201', 'hex');
  const parts = [request.subarray(0, header), Buffer.from([0, 19, 0, 1, cause])];
  if (request[1] === 50) parts.push(seid);
  const answer = Buffer.concat(parts);
  answer[1] = request[1]! + 1;
  answer.writeUInt16BE(answer.length - 4, 2);
  return answer;
}

let upf: Socket;
let written: string;
const seen: number[] = [];
let causeOf: (type: number) => number;

beforeEach(async () => {
  written = '';
  seen.length = 0;
  causeOf = () => 1;
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
  upf = createSocket('udp4');
  upf.on('message', (request, from) => {
    seen.push(request[1]!);
    upf.send(answerOf(request, causeOf(request[1]!)), from.port, from.address);
  });
  upf.bind(0, '127.0.0.1');
  await once(upf, 'listening');
});
afterEach(() => {
  vi.restoreAllMocks();
  upf.close();
});
/** Where the fake UPF is, and a port that is free now. */
const flags = async (): Promise<string[]> => {
  const free = createSocket('udp4').bind(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address();
  await new Promise<void>((resolve) => free.close(() => resolve()));
  return ['--target', `127.0.0.1:${upf.address().port}`, '--bind', `127.0.0.1:${port}`];
};

it('drives sessions through their life and says what became of them', async () => {
  const args = ['n4', 'load', ...(await flags()), '--sessions', '30', '--modify', '2', '--json'];
  expect(await run(args)).toBe(0);
  const { parts } = JSON.parse(written) as {
    parts: { operation: string; accepted: number; per_second: number; causes: object }[];
  };
  expect(parts.map(({ operation }) => operation)).toEqual([
    'establish',
    'modify',
    'modify',
    'delete',
  ]);
  for (const part of parts) {
    expect(part).toMatchObject({ accepted: 30, lost: 0, causes: { 1: 30 } });
    expect(part.per_second).toBeGreaterThan(0);
  }
  const counts = [5, 50, 52, 54, 9].map((type) => seen.filter((one) => one === type).length);
  expect(counts).toEqual([1, 30, 60, 30, 1]);
});

it('leaves the sessions where it is told to', async () => {
  expect(await run(['n4', 'load', ...(await flags()), '--sessions', '3', '--keep'])).toBe(0);
  expect(written).toMatch(/^establish {2}3 accepted in [\d.]+ s/m);
  expect(seen.filter((type) => type === 54 || type === 9)).toEqual([]);
});

it('fails when requests are refused, and says with which cause', async () => {
  causeOf = (type) => (type === 50 ? 75 : 1);
  expect(await run(['n4', 'load', ...(await flags()), '--sessions', '4'])).toBe(1);
  expect(written).toContain('cause 75: 4');
  expect(written).toContain('without a session: 4');
  expect(written).toContain('requests were lost or not accepted');
});

it('says when there is no UPF, or one that does not want it', async () => {
  causeOf = () => 64;
  expect(await run(['n4', 'load', ...(await flags())])).toBe(1);
  expect(written).toContain('the UPF refuses the association: cause 64');
  upf.removeAllListeners('message');
  const quick = ['--t1', '20ms', '--tries', '2'];
  expect(await run(['n4', 'load', ...(await flags()), ...quick])).toBe(1);
  expect(written).toContain('the UPF does not answer to the association (2 requests)');
});

it.each([
  [['--target', '192.0.2.8'], '--bind is needed'],
  [['--target', 'upf.example.org'], 'is no IP address'],
  [['--bind', '::1'], 'both be IPv4 or both IPv6'],
  [['--sessions', '0'], '--sessions'],
  [['--ue', 'x'], '--ue'],
  [['--tries', '0'], '--tries'],
])('refuses %j', async (args, message) => {
  expect(await run(['n4', 'load', ...args])).toBe(2);
  expect(written).toContain(message);
});
