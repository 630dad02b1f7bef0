/**
 * The registry of metrics: what counts itself (requests, latencies, process) and hooks that
 * bring in what is counted elsewhere (packet path, sessions) when a scrape asks for it.
 *
 * Threads: the control thread. Names are sluice_…, units last; process_… and nodejs_… are
 * prom-client's own.
 */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { FlatHistogram } from './flat-histogram.js';

const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];
const NANOSECONDS = 1e-9;
/** How often the event loop's delay is looked at; the measured time contains it. */
const DELAY_PERIOD_MS = 10;

export class Metrics {
  readonly #registry = new Registry();
  readonly #refreshers: (() => void)[] = [];
  readonly contentType: string = this.#registry.contentType;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    this.#watchEventLoop();
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  gauge<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  /** Of seconds, from 100 µs to 2.5 s. */
  latency<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames: [...labelNames],
      buckets: LATENCY_BUCKETS_SECONDS,
      registers: [this.#registry],
    });
  }

  /** As {@link latency}, for what is observed far more often than scraped. */
  flatLatency(name: string, help: string, label: string): FlatHistogram {
    const histogram = new FlatHistogram(name, help, label, LATENCY_BUCKETS_SECONDS);
    // The registry reads a metric by get() alone; its types ask for one of its own classes.
    this.#registry.registerMetric(histogram as unknown as Histogram);
    return histogram;
  }

  /** Runs before each scrape: one snapshot for all metrics of one source. */
  onScrape(refresh: () => void): void {
    this.#refreshers.push(refresh);
  }

  /** The exposition text of Prometheus. */
  async text(): Promise<string> {
    for (const refresh of this.#refreshers) refresh();
    return this.#registry.metrics();
  }

  #watchEventLoop(): void {
    const delay = monitorEventLoopDelay({ resolution: DELAY_PERIOD_MS });
    delay.enable();
    let before: EventLoopUtilization = performance.eventLoopUtilization();
    const quantiles = this.gauge(
      'sluice_event_loop_delay_seconds',
      'How late the control thread runs its timers, since the last scrape',
      ['quantile'],
    );
    const busy = this.gauge(
      'sluice_event_loop_busy_ratio',
      'Share of time that the control thread was busy, since the last scrape',
    );
    this.onScrape(() => {
      for (const quantile of [0.5, 0.99, 1]) {
        const measured = delay.count === 0 ? 0 : delay.percentile(quantile * 100);
        const late = Math.max(0, measured - DELAY_PERIOD_MS * 1e6);
        quantiles.set({ quantile: String(quantile) }, late * NANOSECONDS);
      }
      delay.reset();
      const now = performance.eventLoopUtilization();
      busy.set(performance.eventLoopUtilization(now, before).utilization);
      before = now;
    });
  }
}
