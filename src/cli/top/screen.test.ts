import { describe, expect, it } from 'vitest';
import { snapshotOf } from './rates.js';
import { bits, type Line, screenOf, snapshotText } from './screen.js';

const port = (name: string, packets: number) => ({
  name,
  rx_packets: String(packets),
  rx_bytes: String(packets * 1000),
  tx_packets: '5',
  tx_full: '0',
});
const stats = (seconds: number, packets: number, dropped: object, busiest = 0, ports = 2) => ({
  time: { seconds: String(1_764_000_000 + seconds), nanos: 0 },
  sessions: '1000000',
  ports: Array.from({ length: ports }, (_, i) => port(`n${i}`, packets)),
  workers: Array.from({ length: ports }, (_, i) => ({
    ...(i > 0 && { id: i }),
    cycles_per_packet: 71.6,
    burst_fill: 31.9,
    busy: 0.954,
    longest_stall_ns: '1500000',
    buckets: 128,
  })),
  dropped: dropped as Record<string, string>,
  busiest: Array.from({ length: busiest }, (_, i) => ({
    name: `imsi-00101000000${i}`,
    seid: '18446744073709551615',
    uplink_bytes: 1e9 / (i + 1),
    uplink_packets: 1e6,
    dropped_packets: i,
  })),
});
const node = {
  id: 'upf-1',
  version: '1.2.3',
  start_time: { seconds: '1763900000' },
  workers: [{ core: 2 }, { id: 1, core: 3 }],
};
const full = (busiest = 60, ports = 2) =>
  snapshotOf(
    node,
    stats(0, 1_000_000, { mbr_exceeded: '10', multicast: '4' }, 0, ports),
    stats(2, 3_000_000, { mbr_exceeded: '30', multicast: '4', far_drop: '0' }, busiest, ports),
  );
const textOf = (lines: readonly Line[]): string[] =>
  lines.map((line) => line.map(({ text }) => text).join(''));

describe('rates', () => {
  it('are per second, between the times that the node gave', () => {
    const snapshot = full(1);
    expect(snapshot.seconds).toBe(2);
    expect(snapshot.ports[0]).toMatchObject({ rx_pps: 1e6, rx_bits_per_s: 8e9, tx_pps: 0 });
    expect(snapshot.dropped).toEqual([
      { reason: 'mbr_exceeded', pps: 10, total: 30 },
      { reason: 'multicast', pps: 0, total: 4 },
    ]);
    expect(snapshot.workers.map(({ core }) => core)).toEqual([2, 3]);
    expect(snapshot.busiest[0]).toMatchObject({
      seid: '0xffffffffffffffff',
      uplink_bits_per_s: 8e9,
    });
    expect(snapshot.up_s).toBe(100_002);
  });

  it('begin anew when counters went back: the node was restarted', () => {
    const snapshot = snapshotOf(node, stats(0, 1000, { x: '9' }), stats(1, 10, { x: '2' }));
    expect(snapshot.ports[0]!.rx_pps).toBe(10);
    expect(snapshot.dropped).toEqual([{ reason: 'x', pps: 2, total: 2 }]);
  });
});

describe('the screen', () => {
  it('fits 80 columns and 24 rows, and counts what it leaves out', () => {
    const lines = textOf(screenOf(full(), { columns: 80, rows: 24 }));
    expect(lines).toHaveLength(24);
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(80);
    const text = lines.join('\n');
    expect(text).toMatch(/^sluice top {2}upf-1 1\.2\.3 {2}up 1d 03:46:42 {2}1,000,000 sessions/);
    expect(text).toContain('received 2,000,000 pps 16.0 Gbit/s');
    expect(text).toContain('dropped 10 pps (0.00 %)');
    expect(text).toMatch(/^n0 +1,000,000 +8\.00 Gbit\/s +0 +0 bit\/s +0$/m);
    expect(text).toMatch(/^1 on core 3 +72 +31\.9 +1\.50 ms +128 {2}██████████ 95\.4 %$/m);
    expect(text).toMatch(/^mbr_exceeded +10 +30$/m);
    expect(text).toMatch(/^imsi-001010000000 +8\.00 Gbit\/s +0 bit\/s +1,000,000 +0$/m);
    expect(text).toMatch(/^and 5\d more$/m);
    expect(lines.at(-1)).toMatch(/^q quits/);
  });

  it('uses what more room there is, and does with less', () => {
    for (const [columns, rows] of [
      [200, 80],
      [132, 43],
      [80, 25],
      [40, 12],
      [20, 3],
      [1, 1],
    ] as const) {
      const lines = textOf(screenOf(full(60, 16), { columns, rows }));
      expect(lines).toHaveLength(rows);
      expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(columns);
    }
    const large = textOf(screenOf(full(20), { columns: 80, rows: 60 })).join('\n');
    expect(large).not.toContain(' more');
    expect(large).toContain('imsi-0010100000019');
  });

  it('says when there is nothing, and when the node is gone', () => {
    const idle = snapshotOf(node, stats(0, 5, {}), stats(1, 5, {}));
    const text = textOf(screenOf(idle, { columns: 80, rows: 24 })).join('\n');
    expect(text).toContain('nothing was dropped');
    expect(text).toContain('no session moves anything');
    const gone = textOf(screenOf(idle, { columns: 80, rows: 24 }, 'no figures since 12:00:00'));
    expect(gone.at(-1)).toBe('no figures since 12:00:00');
  });

  it('is plain text for a file, without the legend', () => {
    const text = snapshotText(full(3));
    expect(text).toContain('imsi-001010000002');
    expect(text).not.toContain('q quits');
    expect(text.split('\n').every((line) => line === line.trimEnd())).toBe(true);
  });

  it('writes bits a second in a few digits', () => {
    expect([0, 999, 1000, 99_960, 999_960, 12_340_000, 4e9, 2.5e12].map(bits)).toEqual([
      '0 bit/s',
      '999 bit/s',
      '1.00 kbit/s',
      '100.0 kbit/s',
      '1.00 Mbit/s',
      '12.3 Mbit/s',
      '4.00 Gbit/s',
      '2.50 Tbit/s',
    ]);
  });
});
