/**
 * Rounds: up to 1,024 operations on different sessions that go through prepare, store and
 * apply together. Operations of one turn of the event loop gather in two rounds, one of
 * creates and updates, one of deletes:
 *
 *   write:  prepare → store commit → apply → completed → written()
 *   delete: prepare → apply → completed → store commit → deleted()
 *
 * Two rounds are under way at once, those of one turn in one transaction; what comes meanwhile
 * gathers: rounds grow with the load. Owner: the control thread; nothing here blocks, and no
 * timer runs while nothing is under way.
 */
import { SluiceError } from '../../base/errors.js';
import { ROUND_OPERATIONS_MAX } from '../../base/limits.js';
import {
  type Datapath,
  OPERATION_WORDS,
  OperationFlag,
  OperationKind,
  OperationWord,
  PrepareStatus,
} from '../../datapath/datapath.js';
import { HEADER_BYTES } from '../../model/record-layout.js';
import type { Store } from '../../store/store.js';
import type { Operations } from '../operation-batch.js';
import type { SessionTable } from '../state/session-table.js';
import type { Slab } from '../state/slab.js';
import { Round, type RoundHost, type RoundOutcomes } from './round.js';

/** Turns of the event loop that look for completions before a timer takes over. */
const SPIN_TURNS = 64;
const POLL_INTERVAL_MS = 1;
/** Rounds under way before operations gather: one commits while the next is being made. */
const UNDER_WAY_MAX = 2;
const NO_NUMBERS: readonly number[] = [];
const DISPLACED = OperationFlag.Displaced;
const QUERY_END = 0xffff_ffff;

export class Rounds {
  readonly byId: Round[] = [];
  readonly #idle: { writes: Round[]; deletes: Round[] } = { writes: [], deletes: [] };
  #writes: Round | null = null;
  #deletes: Round | null = null;
  /** Applied rounds in the order of their sequences. */
  readonly #applied: Round[] = [];
  #appliedHead = 0;
  /** Rounds that gather or are under way. */
  #busy = 0;
  #nextKey = 0;
  readonly #closed: Round[] = [];
  #flushing = false;
  #flushScheduled = false;
  /** What gathers may go, or waits for a round; when one is done it does go, full ones or not. */
  #gathered: 'free' | 'waits' | 'due' = 'free';
  /** Sequence of the last round of deletes that workers were told of, and how far they have come. */
  #lastDelete = 0;
  #completed = 0;
  /** Writes go to the store with the deletes up to this round, but wait for one turn only; 0: none. */
  #writesWaitFor = 0;
  #pollScheduled = false;
  #spins = 0;
  readonly #idleListeners: (() => void)[] = [];

  constructor(
    private readonly datapath: Datapath,
    private readonly store: Store,
    private readonly slab: Slab,
    private readonly table: SessionTable,
    private readonly outcomes: RoundOutcomes,
    private readonly host: RoundHost,
  ) {
    datapath.onWake(() => this.#wake());
  }

  /** The key of the next record; keys only grow. */
  startKeys(next: number): void {
    this.#nextKey = next;
  }

  /** Resolves when nothing gathers or is under way. */
  whenIdle(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idleListeners.push(resolve);
    });
  }

  add(
    kind: OperationKind,
    index: number,
    handle: number,
    batch: Operations,
    position: number,
    flags = 0,
    queries = NO_NUMBERS,
    displaced = NO_NUMBERS,
  ): void {
    let round = this.#gathering(kind === OperationKind.Delete);
    const queryWords = round.queryWords + queries.length * 2;
    const count = round.count + displaced.length + 1;
    if (queryWords >= this.datapath.queries.length || count > ROUND_OPERATIONS_MAX) {
      this.#close(round);
      round = this.#gathering(false);
    }
    for (const other of displaced) {
      const record = this.table.handle[other]!;
      this.#put(round, OperationKind.Delete, other, record, batch, position, DISPLACED);
    }
    if (displaced.length > 0) round.displaced.set(index, displaced);
    if (queries.length > 0) {
      round.queries.set(round.count, queries);
      round.queryWords += queries.length * 2;
    }
    this.#put(round, kind, index, handle, batch, position, flags);
    if (round.count === ROUND_OPERATIONS_MAX) this.#close(round);
    else this.#scheduleFlush();
  }

  #put(
    round: Round,
    kind: OperationKind,
    index: number,
    handle: number,
    batch: Operations,
    position: number,
    flags: number,
  ): void {
    const at = round.count++;
    round.kind[at] = kind;
    round.flags[at] = flags;
    round.index[at] = index;
    round.handle[at] = handle;
    round.batch[at] = batch;
    round.position[at] = position;
    this.table.operation[index] = ((round.id << 10) | at) + 1;
  }

  /** Removes a detached session (see SessionState) from the store, which failed to before. */
  removeAgain(index: number, handle: number, batch: Operations, position: number): void {
    const round = this.#take(true);
    round.count = 1;
    round.index[0] = index;
    round.handle[0] = handle;
    round.batch[0] = batch;
    round.position[0] = position;
    this.table.operation[index] = (round.id << 10) + 1;
    this.#commitDeletes(round);
  }

  #gathering(deletes: boolean): Round {
    const open = deletes ? this.#deletes : this.#writes;
    if (open !== null) return open;
    const round = this.#take(deletes);
    if (deletes) this.#deletes = round;
    else this.#writes = round;
    return round;
  }

  #take(deletes: boolean): Round {
    let round = (deletes ? this.#idle.deletes : this.#idle.writes).pop();
    if (round === undefined) {
      round = new Round(this.byId.length, deletes);
      this.byId.push(round);
    }
    this.#busy++;
    return round;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      const gathering = (this.#deletes === null ? 0 : 1) + (this.#writes === null ? 0 : 1);
      const waits = this.#busy - gathering >= UNDER_WAY_MAX && this.#gathered !== 'due';
      this.#gathered = waits ? 'waits' : 'free';
      if (!waits) this.#flush();
      this.host.turnEnded();
    });
  }

  /** Deletes first: what they give back may be free when the writes are prepared. */
  #flush(): void {
    if (this.#deletes !== null) this.#close(this.#deletes);
    const waits = this.#writesWaitFor === 0 && this.#lastDelete > this.#completed;
    this.#writesWaitFor = waits ? this.#lastDelete : 0;
    if (!waits && this.#writes !== null) this.#close(this.#writes);
  }

  /** The round takes no more operations and goes its way. */
  #close(round: Round): void {
    if (round.deletes) this.#deletes = null;
    else this.#writes = null;
    this.#closed.push(round);
    // A refusal may wake an operation that fills the next round: one round after the other.
    if (this.#flushing) return;
    this.#flushing = true;
    for (let next = this.#closed.shift(); next !== undefined; next = this.#closed.shift()) {
      this.#prepare(next);
      if (next.count === 0) this.#release(next);
      else if (next.deletes) this.#apply(next);
      else this.#commitWrites(next);
    }
    this.#flushing = false;
  }

  /** Leaves the operations that were accepted, in their order; refuses the others. */
  #prepare(round: Round): void {
    this.#writeOperations(round);
    this.datapath.prepare(round.count);
    const operations = this.datapath.operations;
    let kept = 0;
    for (let i = 0; i < round.count; i++) {
      const at = i * OPERATION_WORDS;
      const status = operations[at + OperationWord.Status]! as PrepareStatus;
      if (status !== PrepareStatus.Ok) {
        const detail = operations[at + OperationWord.Detail]!;
        const error = this.outcomes.refusal(round, i, status, detail);
        kept -= this.#keepDisplaced(round, round.displacedBy(round.index[i]!).length, kept);
        this.outcomes.refused(round, i, error);
        continue;
      }
      this.#move(round, i, kept);
      round.ticket[kept] = operations[at + OperationWord.Ticket]!;
      kept++;
    }
    round.count = kept;
    round.batch.length = kept;
  }

  /** Of the operations before `kept`, the last `count` are of sessions that stay. */
  #keepDisplaced(round: Round, count: number, kept: number): number {
    if (count > 0) this.datapath.abort(round.ticket.subarray(kept - count, kept), count);
    return count;
  }

  #writeOperations(round: Round): void {
    const { operations, queries } = this.datapath;
    let query = 0;
    for (let i = 0, at = 0; i < round.count; i++, at += OPERATION_WORDS) {
      const handle = round.handle[i]!;
      let flags = round.flags[i]!;
      if (round.queries.size > 0) {
        for (const urr of round.queries.get(i) ?? NO_NUMBERS) {
          queries[query++] = i;
          queries[query++] = urr;
          flags |= OperationFlag.Query;
        }
      }
      operations[at + OperationWord.Kind] = round.kind[i]!;
      operations[at + OperationWord.SessionIndex] = round.index[i]!;
      operations[at + OperationWord.Chunk] = this.slab.chunkOf(handle);
      operations[at + OperationWord.Offset] = this.slab.offsetOf(handle);
      operations[at + OperationWord.Flags] = flags;
      const displaced = round.displacedBy(round.index[i]!).length;
      for (let of = at - displaced * OPERATION_WORDS; of < at; of += OPERATION_WORDS) {
        operations[of + OperationWord.Offset] = round.index[i]!;
      }
    }
    queries[query] = QUERY_END;
    round.queries.clear();
    round.queryWords = 0;
  }

  #move(round: Round, from: number, to: number): void {
    if (from === to) return;
    round.kind[to] = round.kind[from]!;
    round.index[to] = round.index[from]!;
    round.handle[to] = round.handle[from]!;
    round.batch[to] = round.batch[from]!;
    round.position[to] = round.position[from]!;
    this.table.operation[round.index[to]!] = ((round.id << 10) | to) + 1;
  }

  #commitWrites(round: Round): void {
    this.host.putMeta();
    for (let i = 0; i < round.count; i++) {
      if (round.kind[i] === OperationKind.Delete) {
        this.store.remove(this.table.storeKey[round.index[i]!]!);
        continue;
      }
      const handle = round.handle[i]!;
      const chunk = this.slab.chunkOf(handle);
      const bytes = this.slab.words(handle)[this.slab.start(handle) + HEADER_BYTES]!;
      round.storeKey[i] = this.#nextKey++;
      this.store.put(
        round.storeKey[i]!,
        this.slab.chunkBytes[chunk]!,
        this.slab.offsetOf(handle),
        bytes,
      );
      if (round.kind[i] === OperationKind.Update) {
        this.store.remove(this.table.storeKey[round.index[i]!]!);
      }
    }
    this.store.commit().then(
      () => this.#apply(round),
      (error: unknown) => this.#storeRefused(round, SluiceError.of(error)),
    );
  }

  #storeRefused(round: Round, error: SluiceError): void {
    this.datapath.abort(round.ticket, round.count);
    this.host.metaFailed();
    for (let i = 0; i < round.count; i++) {
      if (round.kind[i] !== OperationKind.Delete) this.outcomes.refused(round, i, error);
    }
    this.#release(round);
    this.host.turnEnded();
  }

  #apply(round: Round): void {
    round.sequence = this.datapath.apply(round.ticket, round.count);
    if (round.deletes) this.#lastDelete = round.sequence;
    this.#applied.push(round);
    this.#spins = 0;
    this.#schedulePoll();
  }

  #schedulePoll(): void {
    if (this.#pollScheduled) return;
    this.#pollScheduled = true;
    if (this.#spins++ < SPIN_TURNS) setImmediate(() => this.#pollTurn());
    else setTimeout(() => this.#pollTurn(), POLL_INTERVAL_MS);
  }

  #pollTurn(): void {
    this.#pollScheduled = false;
    this.#wake();
    if (this.#appliedHead < this.#applied.length) this.#schedulePoll();
  }

  /** Something waits in the packet path: events, completions or both. */
  #wake(): void {
    this.host.drainEvents();
    const completed = this.datapath.completed();
    this.#completed = completed;
    while (this.#appliedHead < this.#applied.length) {
      const round = this.#applied[this.#appliedHead]!;
      if (round.sequence > completed) break;
      this.#appliedHead++;
      this.#spins = 0;
      if (round.deletes) this.#commitDeletes(round);
      else this.#finishWrites(round);
    }
    // Not what is deleted since: a stream of deletes must not keep writes waiting.
    if (this.#writesWaitFor !== 0 && completed >= this.#writesWaitFor) {
      this.#writesWaitFor = 0;
      if (this.#writes !== null) this.#close(this.#writes);
    }
    if (this.#appliedHead === this.#applied.length) {
      this.#applied.length = 0;
      this.#appliedHead = 0;
    }
    this.host.turnEnded();
  }

  #finishWrites(round: Round): void {
    for (let i = 0; i < round.count; i++) {
      if (round.kind[i] !== OperationKind.Delete) this.outcomes.written(round, i);
    }
    this.#release(round);
  }

  #commitDeletes(round: Round): void {
    for (let i = 0; i < round.count; i++) {
      this.store.remove(this.table.storeKey[round.index[i]!]!);
    }
    this.store.commit().then(
      () => {
        for (let i = 0; i < round.count; i++) this.outcomes.deleted(round, i);
        this.#release(round);
        this.host.turnEnded();
      },
      (error: unknown) => {
        for (let i = 0; i < round.count; i++) {
          this.outcomes.detached(round, i, SluiceError.of(error));
        }
        this.#release(round);
        this.host.turnEnded();
      },
    );
  }

  #release(round: Round): void {
    round.count = 0;
    round.batch.length = 0;
    if (round.displaced.size > 0) round.displaced.clear();
    (round.deletes ? this.#idle.deletes : this.#idle.writes).push(round);
    this.#busy--;
    if (this.#gathered === 'waits') {
      this.#gathered = 'due';
      this.#scheduleFlush();
    }
    if (this.#busy > 0) return;
    for (const listener of this.#idleListeners.splice(0)) listener();
  }
}
