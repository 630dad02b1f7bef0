/** Metrics of crypto lanes and of their threads, read when a scrape comes. Control thread. */
import type { Metrics } from '../../base/metrics.js';
import type { CryptoLaneStatistics } from '../../datapath/lanes/lane-path.js';

const SECONDS_PER_NANOSECOND = 1e-9;

export function collectLanes(metrics: Metrics, read: () => CryptoLaneStatistics | undefined): void {
  const threads = metrics.gauge(
    'sluice_crypto_lane_threads',
    'Threads that serve crypto lanes; 0: workers do SM4 themselves',
  );
  const lane = (name: string, help: string) =>
    metrics.counter(`sluice_crypto_lane_${name}_total`, help, ['lane']);
  const packets = lane('packets', 'Packets that a crypto lane sealed or opened');
  const bursts = lane('bursts', 'Bursts of a crypto lane');
  const waiting = metrics.gauge(
    'sluice_crypto_lane_waiting_packets',
    'Packets that wait in the rings of a crypto lane',
    ['lane'],
  );
  const thread = (name: string, help: string) =>
    metrics.counter(`sluice_crypto_lane_${name}_total`, help, ['thread']);
  const busy = thread('busy_seconds', 'Time that a thread of the crypto lanes spent on bursts');
  const waits = thread('waits', 'Sleeps of a thread of the crypto lanes, with nothing to do');
  metrics.onScrape(() => {
    const statistics = read();
    if (statistics === undefined) return;
    threads.set(statistics.serving);
    for (const counter of [packets, bursts, busy, waits]) counter.reset();
    for (const { id, ...figures } of statistics.lanes) {
      const of = { lane: String(id) };
      packets.inc(of, figures.packets);
      bursts.inc(of, figures.bursts);
      waiting.set(of, figures.depth);
    }
    for (const [number, figures] of statistics.threads.entries()) {
      const of = { thread: String(number) };
      busy.inc(of, figures.busyNs * SECONDS_PER_NANOSECOND);
      waits.inc(of, figures.waits);
    }
  });
}
