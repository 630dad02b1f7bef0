/**
 * Relieves hot workers: looks each second how busy they are, and when one is for some seconds while
 * another has time, moves buckets of sessions between them. What buckets weigh is sampled only
 * while a worker is hot. Owner: the control thread. Start at {@link Balancer.start}.
 */
import type { Log } from '../../base/log.js';
import type { BucketPath } from './bucket-path.js';
import { planMove, spreadOf } from './bucket-plan.js';

const LOOK_MS = 1000;
/** Below it a worker has time, whatever the others do. */
const HOT = 0.8;
/** Looks in a row before anything is moved. */
const HOT_LOOKS = 3;
/** Looks after a move, until the figures are those of the new owners. */
const QUIET_LOOKS = 3;

/** Counts the packets of buckets while it is open. */
export interface BucketReader {
  /** Packets by bucket since the last take; estimates. */
  take(): Float64Array;
  close(): void;
}

export interface BalancerParts {
  readonly path: BucketPath & {
    /** busy: share of a worker's last second spent on packets */
    statistics(): { readonly workers: readonly { readonly busy: number }[] };
  };
  readonly traffic: { watchBuckets(): BucketReader };
  readonly log: Log;
}

export class Balancer {
  #reader: BucketReader | undefined;
  #hotLooks = 0;
  #quietLooks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: BalancerParts) {}

  static start(parts: BalancerParts): Balancer {
    const balancer = new Balancer(parts);
    balancer.#timer = setInterval(() => balancer.look(), LOOK_MS);
    balancer.#timer.unref();
    return balancer;
  }

  /** Looks at the last second. */
  look(): void {
    const { path, traffic } = this.parts;
    const busy = path.statistics().workers.map((worker) => worker.busy);
    if (this.#quietLooks > 0) {
      this.#quietLooks--;
      return;
    }
    const { hot, isUneven } = spreadOf(busy);
    if (!isUneven || busy[hot]! < HOT) {
      this.#forget();
      return;
    }
    this.#reader ??= traffic.watchBuckets();
    if (++this.#hotLooks < HOT_LOOKS) return;
    this.#move(busy);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#forget();
  }

  #move(busy: readonly number[]): void {
    const { path, log } = this.parts;
    const packets = this.#reader!.take();
    const plan = planMove({ owners: path.bucketOwners, packets, busy });
    if (plan === undefined) return;
    const { buckets, from, to } = plan;
    const moved = path.moveBuckets(buckets, to);
    if (moved !== 'done') {
      log.debug({ from, to, buckets: buckets.length, why: moved }, 'buckets could not move yet');
      return;
    }
    const shares = { busy: round(busy[from]!), others: round(busy[to]!) };
    log.info({ from, to, buckets: buckets.length, ...shares }, 'a hot worker gave buckets away');
    this.#forget();
    this.#quietLooks = QUIET_LOOKS;
  }

  #forget(): void {
    this.#hotLooks = 0;
    this.#reader?.close();
    this.#reader = undefined;
  }
}

function round(share: number): number {
  return Math.round(share * 100) / 100;
}
