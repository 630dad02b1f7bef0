/**
 * Brings the store's sessions back: each record into the slab, its slot, TEIDs and addresses
 * into the allocators, and all of them into the packet path, before it polls its first packet.
 * Works in slices, so that the process answers meanwhile. A record that can't be restored
 * stops the start: going on without it would lose a session that a peer believes in.
 */
import { SluiceError } from '../base/errors.js';
import {
  type Datapath,
  OPERATION_WORDS,
  OPERATIONS_MAX,
  OperationKind,
  OperationWord,
  PrepareStatus,
} from '../datapath/datapath.js';
import { createTime, refText } from '../model/record.js';
import {
  HEADER_BYTES,
  HEADER_INCARNATION,
  HEADER_MAGIC,
  HEADER_NAME,
  HEADER_OWNER,
  HEADER_PLACE,
  HEADER_SESSION_INDEX,
  HEADER_WORDS,
  RECORD_BYTES_MAX,
  RECORD_MAGIC,
} from '../model/record-layout.js';
import type { Store } from '../store/store.js';
import type { Choices } from './allocators/choices.js';
import type { RecordAt } from './allocators/ue-addresses.js';
import type { RestoreProgress } from './engine.js';
import { prepareError } from './prepare-error.js';
import type { Rounds } from './rounds/rounds.js';
import type { CreationClock } from './state/creation-clock.js';
import { SessionState, type SessionTable } from './state/session-table.js';
import type { Slab } from './state/slab.js';

/** Records per turn of the event loop: some milliseconds. */
const SLICE = 4 * OPERATIONS_MAX;

/** What restoring fills. */
export interface Restorable {
  readonly slab: Slab;
  readonly table: SessionTable;
  readonly choices: Choices;
  readonly rounds: Rounds;
  readonly creation: CreationClock;
}

export async function restoreSessions(
  target: Restorable,
  datapath: Datapath,
  store: Store,
  progress?: (progress: RestoreProgress) => void,
): Promise<void> {
  const total = store.recordCount();
  const restore = new Restore(target, datapath);
  let restored = 0;
  for (let after = -1; ; ) {
    let slice = 0;
    store.scan(after, (key, bytes, length) => {
      restore.take(key, bytes, length);
      after = key;
      return ++slice < SLICE;
    });
    restore.flush();
    restored += slice;
    progress?.({ restored, total });
    if (slice < SLICE) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  target.rounds.startKeys(store.lastKey() + 1);
}

class Restore {
  readonly #tickets = new Uint32Array(OPERATIONS_MAX);
  readonly #keys = new Float64Array(OPERATIONS_MAX);
  readonly #handles = new Uint32Array(OPERATIONS_MAX);
  #count = 0;
  readonly #record: RecordAt = { words: new Uint32Array(0), start: 0 };
  readonly #head = new Uint32Array(HEADER_WORDS);
  readonly #headBytes = new Uint8Array(this.#head.buffer);
  /** The owner of the record before, held; most records have the same. */
  #owner = -1;
  #ownerName = '';

  constructor(
    private readonly target: Restorable,
    private readonly datapath: Datapath,
  ) {}

  take(key: number, bytes: Uint8Array, length: number): void {
    const { slab, table, choices } = this.target;
    this.#check(key, bytes, length);
    const handle = slab.allocate(length);
    if (handle === 0) throw new SluiceError('resource_exhausted', 'no memory for the sessions');
    slab.chunkBytes[slab.chunkOf(handle)]!.set(bytes.subarray(0, length), slab.offsetOf(handle));
    const record = this.#at(handle);
    const { words, start } = record;
    const place = words[start + HEADER_PLACE]!;
    const index = (place >>> 16) * table.slots.slotsPerBucket + (place & 0xffff);
    const incarnation = words[start + HEADER_INCARNATION]!;
    if (!table.slots.restore(place >>> 16, place & 0xffff, incarnation)) {
      throw broken(key, 'its place is taken by another one');
    }
    // Slots per bucket may have grown since; the place is what stays.
    words[start + HEADER_SESSION_INDEX] = index;
    if (!choices.restore(record)) throw broken(key, 'its UE address is taken by another one');
    const owner = this.#ownerOf(record);
    table.enter(index, handle, owner, SessionState.Live);
    table.storeKey[index] = key;
    this.target.creation.saw(createTime(words, start));
    this.#add(key, index, handle);
  }

  #add(key: number, index: number, handle: number): void {
    const { slab } = this.target;
    const { operations } = this.datapath;
    const at = this.#count * OPERATION_WORDS;
    operations[at + OperationWord.Kind] = OperationKind.Create;
    operations[at + OperationWord.SessionIndex] = index;
    operations[at + OperationWord.Chunk] = slab.chunkOf(handle);
    operations[at + OperationWord.Offset] = slab.offsetOf(handle);
    operations[at + OperationWord.Flags] = 0;
    this.#keys[this.#count] = key;
    this.#handles[this.#count] = handle;
    this.#count++;
    if (this.#count === OPERATIONS_MAX) this.flush();
  }

  /** Hands what was taken to the packet path. */
  flush(): void {
    const { datapath } = this;
    const { operations } = datapath;
    if (this.#count === 0) return;
    datapath.queries[0] = 0xffff_ffff;
    datapath.prepare(this.#count);
    for (let i = 0; i < this.#count; i++) {
      const at = i * OPERATION_WORDS;
      const status = operations[at + OperationWord.Status]! as PrepareStatus;
      if (status !== PrepareStatus.Ok) {
        const record = this.#at(this.#handles[i]!);
        const error = prepareError(record, status, operations[at + OperationWord.Detail]!);
        const name = refText(record.words, record.start, record.words[record.start + HEADER_NAME]!);
        throw broken(this.#keys[i]!, `session "${name}": ${error.message} (${error.field})`);
      }
      this.#tickets[i] = operations[at + OperationWord.Ticket]!;
    }
    datapath.apply(this.#tickets, this.#count);
    this.#count = 0;
  }

  /** Enough that reading the record stays inside it; its rules were checked when it was made. */
  #check(key: number, bytes: Uint8Array, length: number): void {
    if (length < HEADER_WORDS * 4 || length > RECORD_BYTES_MAX || length % 8 !== 0) {
      throw broken(key, `its length is ${length}`);
    }
    this.#headBytes.set(bytes.subarray(0, HEADER_WORDS * 4));
    if (this.#head[HEADER_MAGIC] !== RECORD_MAGIC) throw broken(key, 'its version is unknown');
    if (this.#head[HEADER_BYTES] !== length) throw broken(key, 'it is cut short');
    if (this.#head[HEADER_INCARNATION] === 0) throw broken(key, 'it has no incarnation');
    const place = this.#head[HEADER_PLACE]!;
    if (place >>> 16 > 0xff) throw broken(key, 'its place is none');
  }

  #ownerOf(record: RecordAt): number {
    const { words, start } = record;
    const name = refText(words, start, words[start + HEADER_OWNER]!);
    const { owners } = this.target.table;
    if (this.#owner >= 0 && name === this.#ownerName) return this.#owner;
    const owner = owners.hold(name);
    if (this.#owner >= 0) owners.release(this.#owner);
    this.#owner = owner;
    this.#ownerName = name;
    return owner;
  }

  #at(handle: number): RecordAt {
    this.#record.words = this.target.slab.words(handle);
    this.#record.start = this.target.slab.start(handle);
    return this.#record;
  }
}

function broken(key: number, why: string): SluiceError {
  return new SluiceError(
    'failed_precondition',
    `the store's record ${key} can't be restored: ${why}; ` +
      'mend the configuration if that is the cause, or move the data folder away to start empty',
    { field: 'store.path' },
  );
}
