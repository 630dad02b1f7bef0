/**
 * The engine's parts put together: what clients call, what the rounds report back, and what
 * the packet path tells. Owner: the control thread.
 */
import { Refusal, SluiceError } from '../base/errors.js';
import { REPORTS_MAX } from '../base/limits.js';
import { highWord, lowWord } from '../base/units.js';
import type { BucketReader } from '../datapath/balance/balancer.js';
import type { Datapath } from '../datapath/datapath.js';
import type { Store } from '../store/store.js';
import { Admission } from './admission.js';
import { Choices } from './allocators/choices.js';
import { Networks } from './allocators/networks.js';
import { TeidPermutation } from './allocators/teid.js';
import type {
  EngineOptions,
  EngineStatistics,
  OperationBatch,
  RecordPlace,
  RecordVisit,
  RecordWords,
  ReportReader,
  RestoreProgress,
  ScanOrder,
  SessionEngine,
  SessionKey,
  SessionPage,
  SessionResult,
  TrafficReader,
  UpdateOptions,
} from './engine.js';
import { flushUsage } from './flush-usage.js';
import { Holders } from './holders.js';
import { loadGenerations, putGenerations } from './identity.js';
import { type BatchHost, Operations } from './operation-batch.js';
import { EventIntake } from './reports/event-intake.js';
import { ReportLog } from './reports/report-log.js';
import { restoreSessions } from './restore.js';
import { Outcomes } from './rounds/outcomes.js';
import type { RoundHost } from './rounds/round.js';
import { Rounds } from './rounds/rounds.js';
import { CreationClock } from './state/creation-clock.js';
import { Lookup } from './state/lookup.js';
import { type TextWords, textWords } from './state/name-index.js';
import { SessionTable } from './state/session-table.js';
import { Slab } from './state/slab.js';
import { subjectOf } from './state/subject.js';
import { Versions } from './state/versions.js';
import { TrafficSampling } from './traffic/traffic-sampling.js';

const BATCHES_IDLE_MAX = 256;
const NO_OPTIONS: UpdateOptions = {};

export class EngineCore implements SessionEngine, BatchHost, RoundHost {
  readonly slab: Slab;
  readonly table: SessionTable;
  readonly choices: Choices;
  readonly rounds: Rounds;
  readonly reports: ReportLog;
  readonly #traffic: TrafficSampling;
  readonly #datapath: Datapath;
  readonly #store: Store;
  readonly creation: CreationClock;
  readonly #versions: Versions;
  readonly #admission: Admission;
  readonly #intake: EventIntake;
  readonly #idleBatches: Operations[] = [];
  readonly #settled: Operations[] = [];
  #settledHead = 0;
  #handingOut = false;
  #turnScheduled = false;
  #closed = false;
  #openBatches = 0;
  #closeListeners: (() => void)[] = [];
  readonly #lookup: Lookup;

  constructor(options: EngineOptions) {
    const { datapath, store, identity } = options;
    const refusal = new Refusal();
    this.#datapath = datapath;
    this.#store = store;
    const now = options.now ?? Date.now;
    this.creation = new CreationClock(now);
    this.slab = new Slab(datapath);
    this.table = new SessionTable(
      this.slab,
      identity.slotsPerBucket,
      options.sessionsMax,
      store.recordCount(),
    );
    this.#lookup = new Lookup(this.slab, this.table, store);
    this.#traffic = new TrafficSampling(datapath, this.table);
    const permutation = new TeidPermutation(identity.teidKey, identity.slotBits);
    const networks = new Networks(options.ports);
    this.choices = new Choices(networks, this.table.slots, permutation, refusal, (index) =>
      this.table.present(index),
    );
    this.#versions = new Versions(this.slab);
    const { slab, table, choices, creation } = this;
    const holders = new Holders(datapath, table);
    const ended = (index: number) => this.#admission.wake(index);
    const outcomes = new Outcomes(table, choices, this.#versions, holders, ended);
    this.rounds = new Rounds(datapath, store, slab, table, outcomes, this);
    const { rounds } = this;
    this.#admission = new Admission(slab, table, choices, rounds, refusal, holders, creation);
    const reportsMax = options.reportsMax ?? REPORTS_MAX;
    this.reports = new ReportLog(store, datapath, reportsMax, now, options.log);
    this.#intake = new EventIntake(datapath, table, rounds, this.reports);
    const generations = loadGenerations(store);
    if (generations !== undefined) table.slots.restoreCeiling(generations);
  }

  get count(): number {
    return this.table.live;
  }
  countOf(owner: string): number {
    const id = this.table.owners.find(owner);
    return id < 0 ? 0 : this.table.owners.count(id);
  }
  get recoveryTimeStamp(): number {
    return this.#store.recoveryTimeStamp;
  }

  async restore(progress?: (progress: RestoreProgress) => void): Promise<void> {
    this.reports.load(this.table.slots.slotsPerBucket);
    await restoreSessions(this, this.#datapath, this.#store, progress);
    // What the last run had not brought into the store is there before its memory is given up.
    this.drainEvents();
    await this.reports.whenWritten();
    this.#datapath.endRestore();
    this.reports.endRestore();
  }

  openBatch(owner: string, done: (batch: OperationBatch) => void): OperationBatch {
    if (this.#closed) throw new SluiceError('unavailable', 'the node is shutting down');
    const id = this.table.owners.hold(owner);
    const batch = this.#idleBatches.pop() ?? new Operations(this);
    batch.open(id, this.#versions.open(), done);
    this.#openBatches++;
    return batch;
  }

  create(owner: string, record: RecordWords): Promise<SessionResult> {
    return this.#single(owner, (batch) => batch.create(record));
  }
  update(owner: string, record: RecordWords, options?: UpdateOptions): Promise<SessionResult> {
    return this.#single(owner, (batch) => batch.update(record, options));
  }
  delete(owner: string, key: SessionKey): Promise<SessionResult> {
    return this.#single(owner, (batch) => {
      if (key.seid === undefined) batch.deleteByName(key.name ?? '');
      else if (key.name !== undefined && this.#find(owner, key) < 0) {
        batch.refuse(new SluiceError('not_found'));
      } else batch.deleteBySeid(lowWord(key.seid), highWord(key.seid));
    });
  }

  get(owner: string, key: SessionKey): Uint32Array | undefined {
    const index = this.#find(owner, key);
    return index < 0 ? undefined : this.slab.view(this.table.handle[index]!).slice();
  }

  look(owner: string, seidLow: number, seidHigh: number): RecordPlace | null {
    return this.#lookup.bySeid(owner, seidLow, seidHigh);
  }
  lookByName(owner: string, name: Uint8Array, start: number, length: number): RecordPlace | null {
    return this.#lookup.byName(owner, name, start, length);
  }
  scan(owner: string, from: number, visit: RecordVisit, order: ScanOrder = 'table'): number {
    return this.#lookup.scan(owner, from, visit, order);
  }

  list(owner: string, pageSize: number, pageToken: string): SessionPage {
    return this.#lookup.list(owner, pageSize, pageToken);
  }

  watchReports(owner: string, cursor: string, names: readonly string[]): ReportReader {
    return this.reports.watch(owner, cursor, names);
  }

  watchTraffic(): TrafficReader {
    return this.#traffic.open();
  }
  watchBuckets(): BucketReader {
    return this.#traffic.openBuckets();
  }

  statistics(): EngineStatistics {
    return {
      sessions: this.table.live,
      sessionsMax: this.table.sessionsMax,
      slabBytesUsed: this.slab.bytesUsed,
      operationsWaiting: this.#admission.waiting,
      reportsHeld: this.reports.size,
      reportsStale: this.reports.stale,
      reportsMerged: this.reports.merged,
      reportsDropped: this.reports.dropped,
      reportWriteFailures: this.reports.writeFailures,
    };
  }

  async shutdown(): Promise<void> {
    this.#closed = true;
    if (this.#openBatches > 0) {
      await new Promise<void>((resolve) => {
        this.#closeListeners.push(resolve);
      });
    }
    await this.rounds.whenIdle();
    // What nobody watches for stays in the packet path's memory, as after a crash.
    if (this.reports.isWatched) {
      await flushUsage(this.#datapath, this.table, () => this.drainEvents());
    }
    await this.reports.close();
  }

  admitCreate(batch: Operations, position: number, record: RecordWords): void {
    this.#admission.create(batch, position, record.words, 0, 0);
  }
  admitUpdate(
    batch: Operations,
    position: number,
    record: RecordWords,
    options: UpdateOptions | undefined,
  ): void {
    this.#admission.update(batch, position, record.words, 0, 0, options ?? NO_OPTIONS);
  }
  admitDelete(
    batch: Operations,
    position: number,
    name: TextWords | null,
    low: number,
    high: number,
  ): void {
    this.#admission.delete(batch, position, name, low, high);
  }

  settle(batch: Operations): void {
    this.#settled.push(batch);
    if (this.#handingOut || this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      this.turnEnded();
    });
  }

  turnEnded(): void {
    if (this.#handingOut) return;
    this.#handingOut = true;
    try {
      while (this.#settledHead < this.#settled.length) {
        this.#handOut(this.#settled[this.#settledHead++]!);
      }
    } finally {
      this.#handingOut = false;
    }
    this.#settled.length = 0;
    this.#settledHead = 0;
  }

  putMeta(): void {
    const { slots } = this.table;
    if (!slots.ceilingChanged) return;
    putGenerations(this.#store, slots.ceiling);
    slots.ceilingChanged = false;
  }
  metaFailed(): void {
    this.table.slots.ceilingChanged = true;
  }

  drainEvents(): void {
    this.#intake.drain();
  }

  #handOut(batch: Operations): void {
    let handedOut = false;
    try {
      batch.done?.(batch);
      handedOut = true;
    } finally {
      batch.settleUsage(this.reports.answers, handedOut);
      this.table.owners.release(batch.owner);
      this.#versions.close(batch.serial);
      if (this.#idleBatches.length < BATCHES_IDLE_MAX) this.#idleBatches.push(batch);
      this.#openBatches--;
      if (this.#openBatches === 0) {
        for (const listener of this.#closeListeners.splice(0)) listener();
      }
    }
  }

  #single(owner: string, operate: (batch: OperationBatch) => void): Promise<SessionResult> {
    return new Promise((resolve, reject) => {
      const batch = this.openBatch(owner, (done) => {
        const error = done.error(0);
        if (error === undefined) {
          resolve({ record: done.record(0).slice(), usage: done.usage(0).slice() });
        } else reject(error);
      });
      operate(batch);
      batch.submit();
    });
  }

  #find(owner: string, key: SessionKey): number {
    const text = key.name === undefined ? null : textWords(key.name);
    let index: number;
    if (key.seid !== undefined) {
      index = this.table.findBySeid(lowWord(key.seid), highWord(key.seid));
    } else {
      if (text === null) return -1;
      const id = this.table.owners.find(owner);
      index = id < 0 ? -1 : this.table.findByName(id, text.words, 0, text.ref);
      if (index < 0) index = this.table.findOnlyByName(text.words, 0, text.ref);
    }
    if (index < 0 || !this.table.isVisible(index)) return -1;
    const same = text === null || subjectOf(this.table, index).name === key.name;
    return same ? index : -1;
  }
}
