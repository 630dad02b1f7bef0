import { expect, it } from 'vitest';
import { FakeClock, FakeNetwork, type FakeTransport } from './fake-network.fixture.js';
import { message, Reader } from './transport.contract.js';
import { WORD_WAITED } from './transport.js';

const TO_B = new Uint32Array([0x0a000002, 0, 0, 0]);

function pair(seed: number) {
  const clock = new FakeClock();
  const network = new FakeNetwork(clock, seed);
  const [a, b] = [network.open('10.0.0.1:8805'), network.open('10.0.0.2:8805')];
  return { clock, network, a, b };
}
function send(from: FakeTransport, index: number): void {
  const bytes = message(52, 20);
  bytes.writeUInt32BE(index, 8);
  from.send(0, 4, TO_B, 0, 8805, bytes, 0, bytes.length);
}
function numbers(reader: Reader): number[] {
  return reader.received.map(({ bytes }) => bytes.readUInt32BE(8));
}

it('carries datagrams when its clock moves, and no sooner', () => {
  const { clock, a, b } = pair(1);
  const reader = new Reader(b);
  send(a, 1);
  send(a, 2);
  expect(reader.received).toEqual([]);
  clock.advance(1);
  expect(numbers(reader)).toEqual([1, 2]);
  expect(reader.received[0]).toMatchObject({ host: '10.0.0.1', port: 8805, family: 4, local: 0 });
});

it('loses, doubles and reorders by its seed', () => {
  const run = (seed: number) => {
    const { clock, network, a, b } = pair(seed);
    network.weather = { loss: 0.1, duplicates: 0.1, reorder: 0.2, reorderMs: 20 };
    const reader = new Reader(b);
    for (let index = 0; index < 1000; index++) {
      send(a, index);
      clock.advance(1);
    }
    clock.advance(100);
    return { order: numbers(reader), lost: network.lost, doubled: network.doubled };
  };
  const first = run(7);
  expect(run(7)).toEqual(first);
  expect(run(8)).not.toEqual(first);
  expect(first.order.length).toBe(1000 - first.lost + first.doubled);
  expect(first.lost).toBeGreaterThan(50);
  expect(first.doubled).toBeGreaterThan(50);
  expect([...first.order].sort((x, y) => x - y)).not.toEqual(first.order);
});

it('rings once until a receive() found nothing, and tells how long datagrams waited', () => {
  const { clock, a, b } = pair(1);
  let rings = 0;
  b.onReadable(() => rings++);
  send(a, 1);
  clock.advance(1);
  send(a, 2);
  clock.advance(9);
  expect(rings).toBe(1);
  expect(b.receive()).toBe(2);
  expect(b.words[WORD_WAITED]).toBe(9000);
  b.release();
  send(a, 3);
  clock.advance(5);
  expect(rings).toBe(1);
  expect(b.receive()).toBe(1);
  b.release();
  expect(b.receive()).toBe(0);
  send(a, 4);
  clock.advance(5);
  expect(rings).toBe(2);
});
