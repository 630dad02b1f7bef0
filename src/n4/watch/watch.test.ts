import { describe, expect, it } from 'vitest';
import { FakeClock, FakeNetwork } from '../transport/fake-network.fixture.js';
import { FLAG_ANSWERED, WORD_FLAGS } from '../transport/transport.js';
import { DatagramWatch, type WatchedDatagram } from './datagram-watch.js';
import { ObservedTransport } from './observed-transport.js';

const heartbeat = Buffer.from('2001000c00000500006000040000002a', 'hex');
const answer = Buffer.from('2002000c0000050000600004ea123456', 'hex');
const address = Uint32Array.of(0x0a000002, 0, 0, 0);

function open() {
  const clock = new FakeClock();
  const network = new FakeNetwork(clock);
  const inner = network.open('10.0.0.1:8805');
  const smf = network.open('10.0.0.2:8805');
  const transport = new ObservedTransport(inner);
  const observed: boolean[] = [];
  inner.setObserved = (on = false) => void observed.push(on);
  const arrive = (bytes: Uint8Array, flags = 0): void => {
    smf.send(0, 4, Uint32Array.of(0x0a000001, 0, 0, 0), 0, 8805, bytes, 0, bytes.length);
    smf.flush();
    clock.advance(10);
    const receive = inner.receive.bind(inner);
    inner.receive = () => {
      const count = receive();
      inner.words[WORD_FLAGS] = flags;
      return count;
    };
    expect(transport.receive()).toBe(1);
    transport.release();
    inner.receive = receive;
  };
  const send = (bytes: Uint8Array) =>
    transport.send(0, 4, address, 0, 8805, bytes, 0, bytes.length);
  return { transport, observed, arrive, send };
}

const place = {
  family: 4,
  local: '10.0.0.1',
  localPort: 8805,
  remote: '10.0.0.2',
  remotePort: 8805,
};
const bytesOf = (watched: readonly WatchedDatagram[]) =>
  watched.map(({ sent, bytes }) => [sent, Buffer.from(bytes).toString('hex')]);

describe('a transport that is looked on at', () => {
  it('has eight who look at once at most', () => {
    const { transport } = open();
    const watches = Array.from({ length: 8 }, () => transport.watch(() => true));
    expect(() => transport.watch(() => true)).toThrow(
      expect.objectContaining({ code: 'resource_exhausted' }),
    );
    watches[3]!.close();
    transport.watch(() => true).close();
  });

  it('shows what comes and goes to each one who looks, from then on', () => {
    const { transport, arrive, send } = open();
    arrive(heartbeat);
    const first = transport.watch(() => true);
    arrive(heartbeat);
    const second = transport.watch(({ sent }) => sent);
    expect(send(answer)).toBe(true);
    const seen = first.take(10);
    expect(seen).toMatchObject([
      { ...place, sent: false },
      { ...place, sent: true },
    ]);
    expect(bytesOf(seen)).toEqual([
      [false, heartbeat.toString('hex')],
      [true, answer.toString('hex')],
    ]);
    expect(Math.abs(seen[0]!.timeMs - Date.now())).toBeLessThan(60_000);
    expect(bytesOf(second.take(10))).toEqual([[true, answer.toString('hex')]]);
  });

  it('has heartbeats that were answered below shown with their answers', () => {
    const { transport, observed, arrive } = open();
    transport.setHeartbeat(0xea123456);
    const watch = transport.watch(() => true);
    arrive(heartbeat, FLAG_ANSWERED);
    expect(bytesOf(watch.take(10))).toEqual([
      [false, heartbeat.toString('hex')],
      [true, answer.toString('hex')],
    ]);
    watch.close();
    watch.close();
    expect(observed).toEqual([true, false, false]);
    arrive(heartbeat);
    expect(watch.take(10)).toEqual([]);
  });
});

describe('a watch', () => {
  const datagram = (length: number) =>
    ({ ...place, timeMs: 0, sent: true, bytes: new Uint8Array(length) }) as WatchedDatagram;

  it('is bounded in number and octets, and counts what it has no room for', () => {
    const watch = new DatagramWatch(
      () => true,
      () => {},
    );
    for (let i = 0; i < 8200; i++) watch.add(datagram(1));
    expect([watch.lost, watch.take(3).length]).toEqual([8, 3]);
    for (let i = 0; i < 3; i++) watch.add(datagram(60_000));
    expect(watch.lost).toBe(8);
    watch.take(8192);
    for (let i = 0; i < 70; i++) watch.add(datagram(60_000));
    expect(watch.lost).toBe(9);
    expect(watch.take(100)).toHaveLength(69);
  });
});
