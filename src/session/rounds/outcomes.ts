/**
 * What the end of an operation means to its session: what it holds, its versions, its state, and
 * the result of who asked. Owner: the control thread.
 */
import type { SluiceError } from '../../base/errors.js';
import { OperationKind, type PrepareStatus } from '../../datapath/datapath.js';
import type { Choices } from '../allocators/choices.js';
import type { RecordAt } from '../allocators/ue-addresses.js';
import type { Holders } from '../holders.js';
import { prepareError } from '../prepare-error.js';
import { SessionState, type SessionTable } from '../state/session-table.js';
import type { Versions } from '../state/versions.js';
import type { Round, RoundOutcomes } from './round.js';

export class Outcomes implements RoundOutcomes {
  readonly #record: RecordAt = { words: new Uint32Array(0), start: 0 };
  readonly #keeper: RecordAt = { words: new Uint32Array(0), start: 0 };

  /** @param ended  what waits for the session has its turn. */
  constructor(
    private readonly table: SessionTable,
    private readonly choices: Choices,
    private readonly versions: Versions,
    private readonly holders: Holders,
    private readonly ended: (index: number) => void,
  ) {}

  written(round: Round, at: number): void {
    const index = round.index[at]!;
    const handle = round.handle[at]!;
    const { table } = this;
    if (round.kind[at] === OperationKind.Update) {
      const old = table.handle[index]!;
      this.choices.release(this.#at(this.#record, old), this.#at(this.#keeper, handle));
      table.replace(index, handle);
      this.versions.retire(old);
    }
    for (const other of round.displacedBy(index)) this.#displaced(other, handle);
    table.storeKey[index] = round.storeKey[at]!;
    table.setState(index, SessionState.Live);
    round.batch[at]!.complete(round.position[at]!, handle);
    this.#ended(index);
  }

  refused(round: Round, at: number, error: SluiceError): void {
    const index = round.index[at]!;
    const handle = round.handle[at]!;
    const { table } = this;
    if (round.kind[at] === OperationKind.Create) {
      this.choices.release(this.#at(this.#record, handle), null);
      table.leave(index);
      table.slab.free(handle);
    } else {
      if (round.kind[at] === OperationKind.Update) {
        const old = this.#at(this.#keeper, table.handle[index]!);
        const record = this.#at(this.#record, handle);
        this.choices.release(record, old);
        table.releaseName(index, record);
        table.slab.free(handle);
      }
      table.setState(index, SessionState.Live);
    }
    for (const other of round.displacedBy(index)) this.#stays(other);
    round.batch[at]!.fail(round.position[at]!, error);
    this.#ended(index);
  }

  deleted(round: Round, at: number): void {
    const index = round.index[at]!;
    const handle = round.handle[at]!;
    this.choices.release(this.#at(this.#record, handle), null);
    this.table.leave(index);
    this.versions.retire(handle);
    round.batch[at]!.complete(round.position[at]!, handle);
    this.#ended(index);
  }

  detached(round: Round, at: number, error: SluiceError): void {
    const index = round.index[at]!;
    this.table.setState(index, SessionState.Detached);
    round.batch[at]!.fail(round.position[at]!, error);
    this.#ended(index);
  }

  refusal(round: Round, at: number, status: PrepareStatus, detail: number): SluiceError {
    const handle = round.handle[at]!;
    const index = round.index[at]!;
    const holder = this.holders.of(status, index, handle, round.displacedBy(index));
    return prepareError(this.#at(this.#record, handle), status, detail, holder);
  }

  /** A session is gone, and what it had is that record's as far as it asks for it. */
  #displaced(index: number, successor: number): void {
    const { table, versions } = this;
    const handle = table.handle[index]!;
    this.choices.inherit(this.#at(this.#record, handle), this.#at(this.#keeper, successor));
    table.leave(index);
    versions.retire(handle);
    this.#ended(index);
  }

  /** A session was to go, but what was to come in its place does not. */
  #stays(index: number): void {
    this.choices.addresses.restore(this.#at(this.#record, this.table.handle[index]!));
    this.table.setState(index, SessionState.Live);
    this.#ended(index);
  }

  #ended(index: number): void {
    this.table.operation[index] = 0;
    this.ended(index);
  }

  #at(record: RecordAt, handle: number): RecordAt {
    const { slab } = this.table;
    record.words = slab.words(handle);
    record.start = slab.start(handle);
    return record;
  }
}
