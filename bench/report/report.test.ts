import { describe, expect, it } from 'vitest';
import { parseResult } from '../process/native-program.js';
import { matches, summarize } from './report.js';
import { figure, tableOf } from './table.js';

describe('figures', () => {
  it('is the median with its spread', () => {
    expect(summarize('a/b', 'ops/s', [5, 1, 3])).toEqual({
      name: 'a/b',
      value: 3,
      unit: 'ops/s',
      min: 1,
      max: 5,
      runs: 3,
    });
    expect(() => summarize('a/b', 'ops/s', [])).toThrow('a/b');
  });

  it('is read from the lines of a native program, other lines are not', () => {
    const line = '{"name":"a","value":1,"unit":"ms","min":1,"max":2,"runs":3}';
    expect(parseResult(line)?.max).toBe(2);
    expect(parseResult('{"machine":{"tscHz":1}}')).toBeUndefined();
    expect(() => parseResult('{"name":"a","value":"fast"}')).toThrow('not a result');
  });

  it('is asked for by a prefix of it, or of a part of it', () => {
    expect(matches('grpc/unary/c1', 'grpc/')).toBe(true);
    expect(matches('grpc/', 'grpc/unary/c1')).toBe(true);
    expect(matches('grpc/unary/c1', '')).toBe(true);
    expect(matches('grpc/unary/c1', 'grpc/stream')).toBe(false);
  });

  it('has four significant digits and grouped thousands', () => {
    expect([1234567.8, 123.45, 1.2345, 0.012345].map(figure)).toEqual([
      '1,234,568',
      '123.5',
      '1.23',
      '0.0123',
    ]);
  });

  it('stands in aligned columns under the machine and the commit', () => {
    const machine = {
      cpu: 'a processor',
      cores: 2,
      arch: 'x64',
      memory_bytes: 1,
      kernel: '6.1',
      node: '20',
      tsc_hz: 2.6e9,
      hugepages: { '2048kB': 3 },
      transparent_hugepages: '',
      governor: '',
    };
    const results = [summarize('a', 'ms', [1]), summarize('a/long/name', 'ops/s', [20000])];
    const lines = tableOf({ machine, commit: 'abc', results }).split('\n');
    expect(lines[0]).toBe('a processor, 2 cores, TSC 2,600 MHz');
    expect(lines[1]).toContain('3 × 2048kB');
    expect(lines[2]).toBe('commit abc');
    expect(new Set(lines.slice(4).map((line) => line.length)).size).toBe(1);
  });
});
