import { Histogram, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { Metrics } from './metrics.js';

it('says what a histogram of prom-client says of the same values', async () => {
  const metrics = new Metrics();
  const flat = metrics.flatLatency('x_seconds', 'Some time', 'message');
  const registry = new Registry();
  const [name, help] = ['x_seconds', 'Some time'];
  const bounds = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  ];
  const other = new Histogram({
    ...{ name, help, labelNames: ['message'], buckets: bounds, registers: [registry] },
  });
  for (const [message, seconds] of [
    ['a', 0],
    ['a', 0.001],
    ['b', 0.0011],
    ['a', 7],
    ['b', 2.5],
  ] as const) {
    flat.of(message).observe(seconds);
    other.observe({ message }, seconds);
  }
  const lines = (text: string) =>
    text
      .split('\n')
      .filter((line) => /(^| )x_seconds/.test(line))
      .map((line) => line.replace(/(le="[^"]*"),(message="."),?/, '$2,$1'))
      .sort();
  expect(lines(await metrics.text())).toEqual(lines(await registry.metrics()));
});
