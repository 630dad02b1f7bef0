import { describe, expect, it } from 'vitest';
import { SampleFlag } from '../../datapath/datapath.js';
import { TrafficWindow } from './traffic-window.js';

const add = (window: TrafficWindow, session: number, bytes: number, packets = 1, incarnation = 1) =>
  window.add(Uint32Array.of(session, incarnation, bytes, packets), 0);

describe('a traffic window', () => {
  it('sums what samples stand for, by direction, and ranks by bytes', () => {
    const window = new TrafficWindow();
    add(window, 5, 100, 32);
    add(window, 5, 50, 2);
    add(window, 5 | SampleFlag.Downlink, 1000, 10);
    add(window, 6, 1400, 100);
    expect(window.busiest(10)).toMatchObject([
      { index: 6, uplinkBytes: 140_000, uplinkPackets: 100, downlinkBytes: 0 },
      {
        index: 5,
        uplinkBytes: 3300,
        uplinkPackets: 34,
        downlinkBytes: 10_000,
        downlinkPackets: 10,
      },
    ]);
    expect(window.busiest(1)).toHaveLength(1);
  });

  it('shows dropped packets apart, and counts them as traffic', () => {
    const window = new TrafficWindow();
    add(window, 1, 100, 10);
    add(window, 2 | SampleFlag.Dropped, 1000, 10);
    expect(window.busiest(2)).toMatchObject([
      { index: 2, droppedPackets: 10, uplinkBytes: 0, uplinkPackets: 0 },
      { index: 1, droppedPackets: 0, uplinkPackets: 10 },
    ]);
  });

  it('begins anew for another session in the same slot, and after clear()', () => {
    const window = new TrafficWindow();
    add(window, 9, 100, 10, 1);
    add(window, 9, 7, 1, 2);
    expect(window.busiest(5)).toMatchObject([{ index: 9, incarnation: 2, uplinkBytes: 7 }]);
    window.clear();
    expect(window.busiest(5)).toEqual([]);
  });

  it('keeps the busy ones when there are more sessions than it can tell apart', () => {
    const window = new TrafficWindow();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40_000; i++) {
        add(window, i * 61, 10);
        if (i % 1000 === 0) for (let busy = 0; busy < 10; busy++) add(window, busy, 1000);
      }
    }
    expect(window.sessions).toBeLessThanOrEqual(16_384);
    const top = window.busiest(10).map(({ index }) => index);
    expect(top.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(window.busiest(1)[0]!.uplinkBytes).toBeGreaterThanOrEqual(120_000);
  });
});
