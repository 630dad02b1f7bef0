/**
 * A packet path in memory, without packets: it keeps the promises of the Datapath interface
 * (unique TEIDs and UE addresses, reservations, numbered completions, usage by URR) for tests
 * of what stands above it, and fails where it is told to. Start at {@link MemoryDatapath}.
 */
import { BUCKETS } from '../base/limits.js';
import { urrCount, urrsAt } from '../model/record.js';
import {
  HEADER_INCARNATION,
  HEADER_MAGIC,
  HEADER_SESSION_INDEX,
  RECORD_MAGIC,
  URR_ID,
  URR_WORDS,
} from '../model/record-layout.js';
import type { BucketMove } from './balance/bucket-path.js';
import {
  type Datapath,
  type DatapathStatus,
  EVENT_WORDS,
  EVENTS_MAX,
  EventKind,
  EventWord,
  OPERATION_WORDS,
  OPERATIONS_MAX,
  OperationFlag,
  OperationKind,
  OperationWord,
  type PathChange,
  PrepareStatus,
  SAMPLE_WORDS,
  SAMPLES_MAX,
} from './datapath.js';
import { IDLE_STATISTICS, IDLE_STATUS } from './idle-statistics.js';
import { HeldKeys } from './memory/held-keys.js';
import { MemorySight } from './memory/sight.js';
import type { Statistics } from './statistics.js';
import { UsageTrigger } from './usage-event.js';

const QUERY_END = 0xffff_ffff;

let runs = 1;

interface Usage {
  uplinkBytes: number;
  downlinkBytes: number;
  sequence: number;
}
interface LiveSession {
  words: Uint32Array;
  start: number;
  readonly usage: Map<number, Usage>;
}
interface Prepared {
  readonly kind: OperationKind;
  readonly index: number;
  readonly words: Uint32Array;
  readonly start: number;
  readonly queried: readonly number[];
}

export class MemoryDatapath extends MemorySight implements Datapath {
  readonly operations = new Uint32Array(OPERATIONS_MAX * OPERATION_WORDS);
  readonly events = new Uint32Array(EVENTS_MAX * EVENT_WORDS);
  readonly queries = new Uint32Array(4 * OPERATIONS_MAX);
  readonly samples = new Uint32Array(SAMPLE_WORDS * SAMPLES_MAX);
  /** Whether somebody has asked for samples. */
  sampling = false;
  /** Says that prepare() refuses an operation, and why. */
  refuse: ((kind: OperationKind, index: number) => PrepareStatus) | null = null;
  /** False: applied operations complete when {@link completeAll} is called. */
  autoComplete = true;
  readonly sessions = new Map<number, LiveSession>();
  readonly #chunks: Uint32Array[] = [];
  /** Who has a TEID at an address, or a UE address in an instance. */
  readonly #keys = new HeldKeys();
  readonly #prepared = new Map<number, Prepared>();
  #nextTicket = 1;
  #sequence = 0;
  #completed = 0;
  #started = false;
  #applied: { sequence: number; prepared: Prepared; ticket: number }[] = [];
  #events: Uint32Array[] = [];
  /** Of these, events that poll() has handed out and nobody has released. */
  #polled = 0;
  /** What an earlier run left, by incarnation. */
  readonly #salvaged = new Map<number, Map<number, Usage>>();
  readonly #written = new Set<string>();
  readonly #run = runs++;
  #position = 0;
  /** endRestore() was called. */
  restored = false;

  /** @param killed  the packet path of the process before this one, which is gone. */
  constructor(killed?: MemoryDatapath) {
    super();
    if (killed === undefined) return;
    for (const { words, start, usage } of killed.sessions.values()) {
      this.#salvaged.set(words[start + HEADER_INCARNATION]!, usage);
    }
    if (!killed.restored)
      for (const [key, usage] of killed.#salvaged) this.#salvaged.set(key, usage);
    for (const event of killed.#events) {
      const kept = event.slice();
      kept[EventWord.Ticket] = 0;
      this.#events.push(kept);
    }
  }
  #samples: (readonly number[])[] = [];
  #listener: (() => void) | null = null;

  /** Keys held: 0 when there is no session and nothing is prepared. */
  get keysHeld(): number {
    return this.#keys.size;
  }
  get preparedHeld(): number {
    return this.#prepared.size;
  }

  registerSlabChunk(chunk: Uint8Array): void {
    this.#chunks.push(new Uint32Array(chunk.buffer, chunk.byteOffset, chunk.byteLength / 4));
  }

  /** As the system does it: what was there is zero. */
  releaseSlabMemory(chunk: number, offset: number, bytes: number): void {
    this.#chunks[chunk]!.fill(0, offset / 4, (offset + bytes) / 4);
  }

  prepare(count: number): void {
    for (let i = 0, query = 0; i < count; i++) {
      const queried: number[] = [];
      while (this.queries[query] === i) {
        queried.push(this.queries[query + 1]!);
        query += 2;
      }
      this.#prepareOne(i * OPERATION_WORDS, queried);
    }
    this.queries[0] = QUERY_END;
  }

  apply(tickets: Uint32Array, count: number): number {
    const sequence = ++this.#sequence;
    for (let i = 0; i < count; i++) {
      const ticket = tickets[i]!;
      const prepared = this.#prepared.get(ticket);
      if (prepared === undefined) throw new Error(`apply of unknown ticket ${ticket}`);
      this.#prepared.delete(ticket);
      this.#applied.push({ sequence, prepared, ticket });
      if (prepared.kind !== OperationKind.Delete) this.#keys.handOver(prepared.index, prepared);
    }
    if (!this.#started) this.completeAll();
    else if (this.autoComplete) setImmediate(() => this.#complete(sequence));
    return sequence;
  }

  abort(tickets: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const prepared = this.#prepared.get(tickets[i]!);
      if (prepared === undefined) throw new Error(`abort of unknown ticket ${tickets[i]}`);
      this.#prepared.delete(tickets[i]!);
      this.#keys.settled(prepared.index);
      if (prepared.kind === OperationKind.Delete) continue;
      const live = this.sessions.get(prepared.index);
      this.#keys.release(prepared.index, prepared, live ?? null);
    }
  }

  holder(
    index: number,
    chunk: number,
    offset: number,
    teids: boolean,
    butFor: Uint32Array,
  ): number {
    const record = { words: this.#chunks[chunk]!, start: offset / 4 };
    return this.#keys.holder(index, record, teids, butFor);
  }

  poll(): number {
    const count = Math.min(EVENTS_MAX, this.#events.length - this.#polled);
    for (let i = 0; i < count; i++) {
      this.events.set(this.#events[this.#polled + i]!, i * EVENT_WORDS);
    }
    this.#polled += count;
    return count;
  }
  release(count: number): void {
    if (count > this.#polled) throw new Error(`release of ${count} events of ${this.#polled}`);
    this.#events.splice(0, count);
    this.#polled -= count;
  }
  alreadyWritten(count: number): void {
    for (let i = 0; i < count; i++) this.#written.add(eventKey(this.events, i * EVENT_WORDS));
    this.#events = this.#events.filter((event) => !this.#written.has(eventKey(event, 0)));
  }
  endRestore(): void {
    this.restored = true;
  }
  completed(): number {
    return this.#completed;
  }
  onWake(listener: () => void): void {
    this.#listener = listener;
  }
  start(): void {
    this.#started = true;
  }
  stop(): void {
    this.#started = false;
  }
  step(): boolean {
    return false;
  }
  status(): DatapathStatus {
    return IDLE_STATUS;
  }
  statistics(): Statistics {
    return IDLE_STATISTICS;
  }
  readonly pathChanges = (): readonly PathChange[] => [];

  readonly bucketOwners = new Uint8Array(BUCKETS);
  readonly moveBuckets = (): BucketMove => 'busy';

  setSampling(on: boolean): void {
    this.sampling = on;
    if (on) this.#samples = [];
  }
  takeSamples(): number {
    const taken = this.#samples.splice(0, SAMPLES_MAX);
    for (const [i, sample] of taken.entries()) this.samples.set(sample, i * SAMPLE_WORDS);
    return taken.length;
  }
  /** What a worker would note: words of SampleWord. */
  sample(words: readonly [number, number, number, number]): void {
    if (this.sampling) this.#samples.push(words);
  }

  /** Completes all that was applied, and wakes the owner. */
  completeAll(): void {
    this.#complete(this.#sequence);
  }

  /** Counts traffic of a session on one of its URRs. */
  count(index: number, urrId: number, uplinkBytes: number, downlinkBytes: number): void {
    const usage = this.sessions.get(index)?.usage.get(urrId);
    if (usage === undefined) throw new Error(`session ${index} has no URR ${urrId}`);
    usage.uplinkBytes += uplinkBytes;
    usage.downlinkBytes += downlinkBytes;
  }

  /** Reports a URR's usage unasked, as a threshold does. */
  report(index: number, urrId: number, triggers: number): void {
    this.#usageEvent(index, this.sessions.get(index)!, urrId, triggers, 0);
    this.#listener?.();
  }

  /** Any event, word by word. */
  emit(event: Uint32Array): void {
    this.#events.push(event.slice());
    this.#listener?.();
  }

  #prepareOne(at: number, queried: readonly number[]): void {
    const { operations } = this;
    const kind = operations[at + OperationWord.Kind]! as OperationKind;
    const index = operations[at + OperationWord.SessionIndex]!;
    const words = this.#chunks[operations[at + OperationWord.Chunk]!]!;
    const start = operations[at + OperationWord.Offset]! / 4;
    operations[at + OperationWord.Detail] = 0;
    let status = this.refuse?.(kind, index) ?? PrepareStatus.Ok;
    if (status === PrepareStatus.Ok) status = this.#check(kind, index, words, start);
    if (status === PrepareStatus.Ok && kind !== OperationKind.Delete) {
      status = this.#reserve(at, index, words, start);
    }
    operations[at + OperationWord.Status] = status;
    if (status !== PrepareStatus.Ok) return;
    const asked = (operations[at + OperationWord.Flags]! & OperationFlag.Query) !== 0;
    const ticket = this.#nextTicket++;
    this.#prepared.set(ticket, { kind, index, words, start, queried: asked ? queried : [] });
    operations[at + OperationWord.Ticket] = ticket;
    if ((operations[at + OperationWord.Flags]! & OperationFlag.Displaced) !== 0) {
      this.#keys.displace(index, operations[at + OperationWord.Offset]!);
    }
  }

  #check(kind: OperationKind, index: number, words: Uint32Array, start: number): PrepareStatus {
    // A caller that creates twice, or updates what is not there, has a defect.
    if (this.sessions.has(index) !== (kind !== OperationKind.Create))
      return PrepareStatus.Malformed;
    if (kind === OperationKind.Delete) return PrepareStatus.Ok;
    const wellFormed =
      words[start + HEADER_MAGIC] === RECORD_MAGIC &&
      words[start + HEADER_SESSION_INDEX] === index &&
      words[start + HEADER_INCARNATION] !== 0;
    return wellFormed ? PrepareStatus.Ok : PrepareStatus.Malformed;
  }

  #reserve(at: number, index: number, words: Uint32Array, start: number): PrepareStatus {
    const inUse = this.#keys.take(index, { words, start });
    if (inUse === undefined) return PrepareStatus.Ok;
    this.operations[at + OperationWord.Detail] = inUse.pdr ?? 0;
    return inUse.pdr === undefined ? PrepareStatus.UeAddressTaken : PrepareStatus.TeidTaken;
  }

  #complete(sequence: number): void {
    let done = 0;
    for (; done < this.#applied.length && this.#applied[done]!.sequence <= sequence; done++) {
      const { prepared, ticket } = this.#applied[done]!;
      this.#takeEffect(prepared, ticket);
    }
    this.#applied.splice(0, done);
    this.#completed = Math.max(this.#completed, sequence);
    this.#listener?.();
  }

  #takeEffect(prepared: Prepared, ticket: number): void {
    const live = this.sessions.get(prepared.index) ?? null;
    if (prepared.kind === OperationKind.Delete) {
      for (const urr of live!.usage.keys()) {
        this.#usageEvent(prepared.index, live!, urr, UsageTrigger.Termination, ticket + 1);
      }
      this.sessions.delete(prepared.index);
      this.#keys.release(prepared.index, live!, null);
      this.#keys.settled(prepared.index);
      return;
    }
    const next: LiveSession = { words: prepared.words, start: prepared.start, usage: new Map() };
    for (const urr of prepared.queried) {
      const id = live!.words[urrsAt(live!.words, live!.start) + urr * URR_WORDS + URR_ID]!;
      this.#usageEvent(prepared.index, live!, id, UsageTrigger.Immediate, ticket + 1);
    }
    this.#carryUsage(prepared.index, live, next, ticket);
    this.sessions.set(prepared.index, next);
    if (live !== null) this.#keys.release(prepared.index, live, next);
  }

  /** URRs whose ID stays keep their usage; one that goes reports what it has. */
  #carryUsage(index: number, live: LiveSession | null, next: LiveSession, ticket: number): void {
    const at = urrsAt(next.words, next.start);
    for (let i = 0; i < urrCount(next.words, next.start); i++) {
      const id = next.words[at + i * URR_WORDS + URR_ID]!;
      const salvaged = this.#salvaged.get(next.words[next.start + HEADER_INCARNATION]!)?.get(id);
      const fresh = { uplinkBytes: 0, downlinkBytes: 0, sequence: 0, ...salvaged };
      next.usage.set(id, live?.usage.get(id) ?? fresh);
    }
    for (const id of live?.usage.keys() ?? []) {
      if (!next.usage.has(id)) {
        this.#usageEvent(index, live!, id, UsageTrigger.Termination, ticket + 1);
      }
    }
  }

  #usageEvent(index: number, session: LiveSession, urr: number, triggers: number, ticket: number) {
    const usage = session.usage.get(urr)!;
    const event = new Uint32Array(EVENT_WORDS);
    event[EventWord.Kind] = EventKind.Usage;
    event[EventWord.SessionIndex] = index;
    event[EventWord.Incarnation] = session.words[session.start + HEADER_INCARNATION]!;
    event[EventWord.Id] = urr;
    event[EventWord.Sequence] = usage.sequence++;
    event[EventWord.Triggers] = triggers;
    event[EventWord.UplinkBytes] = usage.uplinkBytes % 2 ** 32;
    event[EventWord.UplinkBytes + 1] = Math.floor(usage.uplinkBytes / 2 ** 32);
    event[EventWord.DownlinkBytes] = usage.downlinkBytes % 2 ** 32;
    event[EventWord.DownlinkBytes + 1] = Math.floor(usage.downlinkBytes / 2 ** 32);
    event[EventWord.Ticket] = ticket;
    event[EventWord.Run] = this.#run;
    event[EventWord.Run + 2] = this.#position++;
    usage.uplinkBytes = 0;
    usage.downlinkBytes = 0;
    this.#events.push(event);
  }
}

function eventKey(words: Uint32Array, at: number): string {
  return `${words[at + EventWord.Run]}.${words[at + EventWord.Run + 2]}`;
}
