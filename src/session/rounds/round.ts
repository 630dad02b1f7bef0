/** One round of operations, and whom it reports to. Owner: the control thread. */
import type { SluiceError } from '../../base/errors.js';
import { ROUND_OPERATIONS_MAX } from '../../base/limits.js';
import type { PrepareStatus } from '../../datapath/datapath.js';
import type { Operations } from '../operation-batch.js';

const NOBODY: readonly number[] = [];

export class Round {
  count = 0;
  /** What completed() must reach. */
  sequence = 0;
  readonly kind = new Uint8Array(ROUND_OPERATIONS_MAX);
  readonly flags = new Uint8Array(ROUND_OPERATIONS_MAX);
  readonly index = new Uint32Array(ROUND_OPERATIONS_MAX);
  /** The new record; of a delete the present one. */
  readonly handle = new Uint32Array(ROUND_OPERATIONS_MAX);
  readonly ticket = new Uint32Array(ROUND_OPERATIONS_MAX);
  readonly storeKey = new Float64Array(ROUND_OPERATIONS_MAX);
  readonly position = new Uint32Array(ROUND_OPERATIONS_MAX);
  readonly batch: Operations[] = [];
  /** URR indices to be reported, by operation. */
  readonly queries = new Map<number, readonly number[]>();
  queryWords = 0;
  /** Sessions that an update displaces, by its session: their deletions stand before it. */
  readonly displaced = new Map<number, readonly number[]>();

  /** @param id  with which sessions name the round of their operation. */
  constructor(
    readonly id: number,
    readonly deletes: boolean,
  ) {}

  displacedBy(index: number): readonly number[] {
    return this.displaced.size === 0 ? NOBODY : (this.displaced.get(index) ?? NOBODY);
  }
}

/** Where a round says what became of its operations; see outcomes.ts. */
export interface RoundOutcomes {
  /** In the packet path and in the store. */
  written(round: Round, at: number): void;
  /** Nothing of it is anywhere. */
  refused(round: Round, at: number, error: SluiceError): void;
  /** Gone from the packet path and from the store. */
  deleted(round: Round, at: number): void;
  /** Gone from the packet path, but not from the store. */
  detached(round: Round, at: number, error: SluiceError): void;
  /** Error for an operation that prepare() refused. */
  refusal(round: Round, at: number, status: PrepareStatus, detail: number): SluiceError;
}

/** What rounds need of the engine; see engine-core.ts. */
export interface RoundHost {
  /** Values that must be in the store with the round's records. */
  putMeta(): void;
  /** The values of putMeta() did not get there. */
  metaFailed(): void;
  /** Takes waiting events out of the packet path. */
  drainEvents(): void;
  /** Results of this turn are known: hands them out. */
  turnEnded(): void;
}
