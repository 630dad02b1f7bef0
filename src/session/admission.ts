/**
 * What each operation means for the session it names: done already, refused, to wait for an
 * operation on the same session, or ready for a round, with everything chosen that was open.
 * Owner: the control thread. Start at {@link Admission.create}.
 */
import { type Refusal, SluiceError } from '../base/errors.js';
import { ROUND_OPERATIONS_MAX } from '../base/limits.js';
import { highWord, joinWords, lowWord } from '../base/units.js';
import { OperationFlag, OperationKind } from '../datapath/datapath.js';
import { sameText } from '../model/record.js';
import {
  HEADER_NAME,
  HEADER_REVISION_HIGH,
  HEADER_REVISION_LOW,
  HEADER_SEID_HIGH,
  HEADER_SEID_LOW,
} from '../model/record-layout.js';
import { sameContent } from '../model/same-content.js';
import type { Choices } from './allocators/choices.js';
import type { RecordAt } from './allocators/ue-addresses.js';
import type { UpdateOptions } from './engine.js';
import type { Holders } from './holders.js';
import type { Operations } from './operation-batch.js';
import { copyRecord, writeIdentity, writeRevision } from './record-writer.js';
import { urrIndices, urrsAsked } from './reports/asked-usage.js';
import type { Rounds } from './rounds/rounds.js';
import type { CreationClock } from './state/creation-clock.js';
import type { TextWords } from './state/name-index.js';
import { detachedError, fullError, nameTakenError, noMemoryError } from './state/session-errors.js';
import { SessionState, type SessionTable } from './state/session-table.js';
import type { Slab } from './state/slab.js';

/** An operation that waits for another one on its session. */
interface Waiting {
  readonly kind: OperationKind;
  readonly batch: Operations;
  readonly position: number;
  /** Its record, privately in the slab; 0 for a deletion. */
  readonly handle: number;
  readonly options: UpdateOptions | undefined;
  /** Of a deletion by name. */
  readonly name: TextWords | null;
  readonly seidLow: number;
  readonly seidHigh: number;
}

const NOBODY: readonly number[] = [];
const NO_SEIDS: readonly bigint[] = [];
const NO_OPTIONS: UpdateOptions = {};
const NO_WORDS = new Uint32Array(0);

export class Admission {
  /** Operations that wait, by session index, in their order. */
  readonly #waiting = new Map<number, Waiting[]>();
  #waitingCount = 0;
  /** Reused: where the record lies that is being worked on, and its predecessor. */
  readonly #record: RecordAt = { words: new Uint32Array(0), start: 0 };
  readonly #old: RecordAt = { words: new Uint32Array(0), start: 0 };

  constructor(
    private readonly slab: Slab,
    private readonly table: SessionTable,
    private readonly choices: Choices,
    private readonly rounds: Rounds,
    private readonly refusal: Refusal,
    private readonly holders: Holders,
    private readonly creation: CreationClock,
  ) {}

  get waiting(): number {
    return this.#waitingCount;
  }

  /** @param own  the record's handle when it is in the slab already, 0: a scratch record. */
  create(
    batch: Operations,
    position: number,
    words: Uint32Array,
    start: number,
    own: number,
  ): void {
    const ref = words[start + HEADER_NAME]!;
    if (ref === 0) {
      this.#refuse(
        batch,
        position,
        own,
        new SluiceError('invalid_argument', 'is missing', { field: 'session.name' }),
      );
      return;
    }
    const there = this.table.findHolder(batch.owner, words, start, ref);
    if (there < 0) this.#createNew(batch, position, words, start, own);
    else if (this.#isBusy(there)) {
      this.#wait(there, OperationKind.Create, batch, position, words, start, own, NO_OPTIONS);
    } else this.#createAgain(batch, position, words, start, own, there);
  }

  update(
    batch: Operations,
    position: number,
    words: Uint32Array,
    start: number,
    own: number,
    options: UpdateOptions,
  ): void {
    const index = this.#findUpdated(batch, words, start, options.renames === true);
    if (index < 0) {
      const low = words[start + HEADER_SEID_LOW]!;
      const high = words[start + HEADER_SEID_HIGH]!;
      const ref = words[start + HEADER_NAME]!;
      this.#refuse(
        batch,
        position,
        own,
        this.table.notOwned(batch.owner, words, start, ref, low, high),
      );
    } else if (this.#isBusy(index)) {
      this.#wait(index, OperationKind.Update, batch, position, words, start, own, options);
    } else if (this.table.state[index] === SessionState.Detached) {
      this.#refuse(batch, position, own, detachedError());
    } else {
      this.#updateFree(batch, position, words, start, own, options, index);
    }
  }

  /** @param name  null: by SEID; else good during the call only. */
  delete(
    batch: Operations,
    position: number,
    name: TextWords | null,
    low: number,
    high: number,
  ): void {
    const index =
      name === null
        ? this.#ownBySeid(batch, low, high)
        : this.table.findByName(batch.owner, name.words, 0, name.ref);
    if (index < 0) {
      const words = name?.words ?? NO_WORDS;
      batch.fail(position, this.table.notOwned(batch.owner, words, 0, name?.ref ?? 0, low, high));
      return;
    }
    if (this.#isBusy(index)) {
      this.#push(index, {
        kind: OperationKind.Delete,
        batch,
        position,
        handle: 0,
        options: undefined,
        name: name === null ? null : { words: name.words.slice(), ref: name.ref },
        seidLow: low,
        seidHigh: high,
      });
      return;
    }
    const detached = this.table.state[index] === SessionState.Detached;
    const handle = this.table.handle[index]!;
    this.table.setState(index, SessionState.Deleting);
    if (detached) this.rounds.removeAgain(index, handle, batch, position);
    else this.rounds.add(OperationKind.Delete, index, handle, batch, position);
  }

  /** The session's operation ended: what waited for it is looked at again, in order. */
  wake(index: number): void {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) return;
    this.#waiting.delete(index);
    this.#waitingCount -= waiting.length;
    for (const one of waiting) this.#retry(one);
  }

  #retry(one: Waiting): void {
    if (one.kind === OperationKind.Delete) {
      this.delete(one.batch, one.position, one.name, one.seidLow, one.seidHigh);
      return;
    }
    const words = this.slab.words(one.handle);
    const start = this.slab.start(one.handle);
    if (one.kind === OperationKind.Create) {
      this.create(one.batch, one.position, words, start, one.handle);
    } else {
      this.update(one.batch, one.position, words, start, one.handle, one.options ?? NO_OPTIONS);
    }
  }

  #createNew(
    batch: Operations,
    position: number,
    words: Uint32Array,
    start: number,
    own: number,
  ): void {
    if (this.table.slots.live >= this.table.sessionsMax) {
      this.#refuse(batch, position, own, fullError(this.table.sessionsMax));
      return;
    }
    const handle = own || copyRecord(this.slab, words, start, this.#owner(batch), null);
    if (handle === 0) {
      batch.fail(position, noMemoryError());
      return;
    }
    const record = this.#at(this.#record, handle);
    const index = this.choices.takeSlot(record);
    if (index < 0) {
      this.#refuse(batch, position, handle, fullError(this.table.sessionsMax));
      return;
    }
    this.refusal.clear();
    if (!this.choices.choose(record, null)) {
      this.table.slots.free(index);
      this.#refuse(batch, position, handle, this.#choiceError(index, handle));
      return;
    }
    writeIdentity(record, index, this.creation.next());
    this.table.enter(index, handle, batch.owner, SessionState.Creating);
    this.rounds.add(OperationKind.Create, index, handle, batch, position);
  }

  /** The same content again is the same session; anything else is another one of its name. */
  #createAgain(
    batch: Operations,
    position: number,
    words: Uint32Array,
    start: number,
    own: number,
    index: number,
  ): void {
    if (this.table.state[index] === SessionState.Detached) {
      this.#refuse(batch, position, own, detachedError());
      return;
    }
    const handle = this.table.handle[index]!;
    if (!sameContent(this.slab.words(handle), this.slab.start(handle), words, start)) {
      this.#refuse(batch, position, own, nameTakenError());
      return;
    }
    if (own !== 0) this.slab.free(own);
    batch.complete(position, handle);
  }

  #updateFree(
    batch: Operations,
    position: number,
    words: Uint32Array,
    start: number,
    own: number,
    options: UpdateOptions,
    index: number,
  ): void {
    const old = this.#at(this.#old, this.table.handle[index]!);
    const low = old.words[old.start + HEADER_REVISION_LOW]!;
    const revision = joinWords(low, old.words[old.start + HEADER_REVISION_HIGH]!);
    const expected = options.expectedRevision ?? 0n;
    if (expected !== 0n && expected !== revision) {
      const message = `the session is at revision ${revision}, not ${expected}`;
      const error = new SluiceError('aborted', message, { field: 'expected_revision' });
      this.#refuse(batch, position, own, error);
      return;
    }
    const queries = urrIndices(old, urrsAsked(options));
    if (typeof queries === 'number') {
      const field = `query_urr_ids[${queries}]`;
      const error = new SluiceError('invalid_argument', 'names no URR of the session', { field });
      this.#refuse(batch, position, own, error);
      return;
    }
    const displaced = this.#displaced(batch, options.displaces);
    if (displaced === null) {
      this.#refuse(batch, position, own, new SluiceError('not_found'));
      return;
    }
    // A waiting record may lack its name too: it is copied once more then.
    const name = words[start + HEADER_NAME] === 0 ? nameOf(old) : null;
    const copy = () => copyRecord(this.slab, words, start, this.#owner(batch), name);
    const handle = own !== 0 && name === null ? own : copy();
    if (own !== 0 && handle !== own) this.slab.free(own);
    if (handle === 0) {
      batch.fail(position, noMemoryError());
      return;
    }
    const record = this.#at(this.#record, handle);
    writeRevision(record, old);
    if (options.afresh === true) writeIdentity(record, index, this.creation.next());
    if (options.renames === true && !this.table.reserveName(index, record)) {
      this.#refuse(batch, position, handle, nameTakenError());
      return;
    }
    this.refusal.clear();
    if (!this.choices.choose(record, old, displaced)) {
      this.table.releaseName(index, record);
      this.#refuse(batch, position, handle, this.#choiceError(index, handle, displaced));
      return;
    }
    this.table.setState(index, SessionState.Updating);
    for (const other of displaced) this.table.setState(other, SessionState.Deleting);
    batch.begin(position, options);
    const { rounds } = this;
    const flags = flagsOf(options);
    rounds.add(OperationKind.Update, index, handle, batch, position, flags, queries, displaced);
  }

  /** Indices of the sessions with these SEIDs; null: not all are there and rest. */
  #displaced(batch: Operations, seids: readonly bigint[] = NO_SEIDS): readonly number[] | null {
    if (seids.length === 0) return NOBODY;
    const indices = seids.map((seid) => this.#ownBySeid(batch, lowWord(seid), highWord(seid)));
    const rests = (index: number) =>
      index >= 0 && !this.#isBusy(index) && this.table.state[index] === SessionState.Live;
    return indices.length < ROUND_OPERATIONS_MAX && indices.every(rests) ? indices : null;
  }

  /** By name; by SEID when there is no name; a session of both when both are given. */
  #findUpdated(batch: Operations, words: Uint32Array, start: number, renames: boolean): number {
    const ref = words[start + HEADER_NAME]!;
    const low = words[start + HEADER_SEID_LOW]!;
    const high = words[start + HEADER_SEID_HIGH]!;
    if ((low | high) === 0) {
      return ref === 0 ? -1 : this.table.findByName(batch.owner, words, start, ref);
    }
    const index = this.#ownBySeid(batch, low, high);
    if (index < 0 || ref === 0 || renames) return index;
    const own = this.table.wordsOf(index);
    const at = this.table.startOf(index);
    return sameText(own, at, own[at + HEADER_NAME]!, words, start, ref) ? index : -1;
  }

  #ownBySeid(batch: Operations, low: number, high: number): number {
    const index = this.table.findBySeid(low, high);
    return index >= 0 && this.table.owner[index] === batch.owner ? index : -1;
  }

  #isBusy(index: number): boolean {
    return this.table.operation[index] !== 0 || this.#waiting.has(index);
  }

  #wait(
    index: number,
    kind: OperationKind,
    batch: Operations,
    position: number,
    words: Uint32Array,
    start: number,
    own: number,
    options: UpdateOptions,
  ): void {
    const handle = own || copyRecord(this.slab, words, start, this.#owner(batch), null);
    if (handle === 0) {
      batch.fail(position, noMemoryError());
      return;
    }
    const waiting = { kind, batch, position, handle, options, name: null, seidLow: 0, seidHigh: 0 };
    this.#push(index, waiting);
  }

  #push(index: number, one: Waiting): void {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) this.#waiting.set(index, [one]);
    else waiting.push(one);
    this.#waitingCount++;
  }

  #choiceError(index: number, handle: number, displaced = NOBODY): SluiceError {
    const { code, field } = this.refusal;
    if (code !== 'already_exists') return this.refusal.toError();
    return this.refusal.toError(
      this.holders.find(index, handle, field.endsWith('.teid'), displaced),
    );
  }

  #refuse(batch: Operations, position: number, handle: number, error: SluiceError): void {
    if (handle !== 0) this.slab.free(handle);
    batch.fail(position, error);
  }

  #owner(batch: Operations): TextWords {
    return this.table.owners.text(batch.owner);
  }

  #at(record: RecordAt, handle: number): RecordAt {
    record.words = this.slab.words(handle);
    record.start = this.slab.start(handle);
    return record;
  }
}

function flagsOf({ afresh, dropBuffered, sendEndMarkers }: UpdateOptions): number {
  const begins = afresh === true ? OperationFlag.Afresh : 0;
  const drops = dropBuffered === true || afresh === true ? OperationFlag.DropBuffered : 0;
  return begins | drops | (sendEndMarkers === true ? OperationFlag.SendEndMarkers : 0);
}

function nameOf(record: RecordAt): TextWords {
  const ref = record.words[record.start + HEADER_NAME]!;
  const from = record.start + (ref >>> 16);
  const words = record.words.slice(from, from + (((ref & 0xffff) + 3) >>> 2));
  return { words, ref: ref & 0xffff };
}
