import type { SluiceError } from '../../base/errors.js';
import { highWord, lowWord } from '../../base/units.js';
import { EVENT_WORDS, EventKind, EventWord } from '../../datapath/datapath.js';
import { ProtobufWriter } from '../../model/protobuf.js';
import {
  encodeIpv4,
  encodeIpv6,
  encodeNanoseconds,
  encodeTimestampMs,
} from '../../model/protobuf-values.js';
import { pdrCount, pdrsAt } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import { encodeFTeid, encodeUeAddress } from '../../model/rules/pdr-encode.js';
import { encodeSession } from '../../model/session-encode.js';
import type { OperationBatch, Report, SessionPage } from '../../session/engine.js';

const USAGE_TRIGGERS = 11;

/** Worker that runs a session now, by its session index. */
export type WorkerOf = (sessionIndex: number) => number;

/**
 * Answers of SessionService, from records and events into bytes. The writer goes from the
 * end of a message to its front, so each function reads from its last line up.
 */
export class AnswerEncoder {
  readonly #writer = new ProtobufWriter();

  constructor(private readonly workerOf: WorkerOf) {}

  /** Session */
  session(record: Uint32Array): Buffer {
    this.#writer.reset();
    this.#session(record);
    return this.#writer.take();
  }

  /** UpdateSessionResponse */
  updateResponse(record: Uint32Array, usage: Uint32Array): Buffer {
    const writer = this.#writer;
    writer.reset();
    this.#usage(2, usage);
    this.#sessionField(1, record);
    return writer.take();
  }

  /** DeleteSessionResponse */
  deleteResponse(usage: Uint32Array): Buffer {
    this.#writer.reset();
    this.#usage(1, usage);
    return this.#writer.take();
  }

  /** ListSessionsResponse */
  list(page: SessionPage): Buffer {
    const writer = this.#writer;
    writer.reset();
    writer.uint64(3, page.total, 0);
    this.#text(2, page.nextPageToken);
    for (const record of page.records.toReversed()) this.#sessionField(1, record);
    return writer.take();
  }

  /** SessionBatchResult; results without sessions when `brief`. */
  batchResult(batch: OperationBatch, batchId: bigint, brief: boolean): Buffer {
    const writer = this.#writer;
    writer.reset();
    for (let position = batch.count - 1; position >= 0; position--) {
      const mark = writer.size;
      const error = batch.error(position);
      if (error === undefined) this.#result(batch, position, brief);
      else this.#failure(error);
      writer.reserve(0);
      writer.close(2, mark);
    }
    writer.uint64(1, lowWord(batchId), highWord(batchId));
    return writer.take();
  }

  /** Report */
  report(report: Report): Buffer {
    const writer = this.#writer;
    writer.reset();
    this.#event(report.event);
    writer.reserve(0);
    encodeTimestampMs(writer, 4, report.timeMs);
    writer.uint64(3, lowWord(report.seid), highWord(report.seid));
    this.#text(2, report.sessionName);
    this.#text(1, report.cursor);
    return writer.take();
  }

  #sessionField(field: number, record: Uint32Array): void {
    const mark = this.#writer.size;
    this.#session(record);
    this.#writer.close(field, mark);
  }

  #session(record: Uint32Array): void {
    const worker = this.workerOf(record[layout.HEADER_SESSION_INDEX] ?? 0);
    encodeSession(this.#writer, record, 0, worker);
    this.#writer.reserve(0);
  }

  /** SessionResult of an operation that was done. */
  #result(batch: OperationBatch, position: number, brief: boolean): void {
    const writer = this.#writer;
    const record = batch.record(position);
    if (!brief && record.length > 0) this.#sessionField(9, record);
    this.#usage(8, batch.usage(position));
    writer.reserve(0);
    if (record.length === 0) return;
    const flags = record[layout.HEADER_FLAGS] ?? 0;
    const addresses = flags & (layout.UE_IPV4 | layout.UE_IPV6);
    if (addresses !== 0) encodeUeAddress(writer, 7, record, 0, addresses);
    this.#chosenFTeids(6, record);
    writer.uint64(
      5,
      record[layout.HEADER_REVISION_LOW] ?? 0,
      record[layout.HEADER_REVISION_HIGH] ?? 0,
    );
    writer.uint64(4, record[layout.HEADER_SEID_LOW] ?? 0, record[layout.HEADER_SEID_HIGH] ?? 0);
  }

  /** The F-TEIDs that were chosen here, those that PDRs share once. */
  #chosenFTeids(field: number, record: Uint32Array): void {
    const first = pdrsAt(0);
    for (let pdr = pdrCount(record, 0) - 1; pdr >= 0; pdr--) {
      const at = first + pdr * layout.PDR_WORDS;
      if (((record[at + layout.PDR_F_TEID] ?? 0) & layout.F_TEID_CHOSEN_HERE) === 0) continue;
      if (sharesFTeid(record, first, at)) continue;
      this.#writer.reserve(0);
      encodeFTeid(this.#writer, field, record, at);
    }
  }

  /** SessionResult of an operation that was refused. */
  #failure(error: SluiceError): void {
    this.#text(3, error.field);
    this.#text(2, error.message);
    this.#writer.uint32(1, error.grpcStatus);
  }

  #event(event: Uint32Array): void {
    const writer = this.#writer;
    const id = event[EventWord.Id] ?? 0;
    const kind = event[EventWord.Kind] ?? 0;
    if (kind === EventKind.Usage) {
      this.#usage(5, event);
      return;
    }
    const mark = writer.size;
    if (kind === EventKind.DownlinkData) {
      writer.uint32(2, event[EventWord.Qfi] ?? 0);
      writer.uint32(1, id);
      writer.close(6, mark);
    } else if (kind === EventKind.ErrorIndication) {
      this.#peer(2, event);
      writer.uint32(1, id);
      writer.close(7, mark);
    } else {
      writer.uint32(1, id);
      writer.close(8, mark);
    }
  }

  #peer(field: number, event: Uint32Array): void {
    if (event[EventWord.Qfi] === 1) encodeIpv6(this.#writer, field, event, EventWord.Address);
    else encodeIpv4(this.#writer, field, event[EventWord.Address] ?? 0);
  }

  /** UsageReports of the entries of `events`. */
  #usage(field: number, events: Uint32Array): void {
    for (let at = events.length - EVENT_WORDS; at >= 0; at -= EVENT_WORDS) {
      this.#writer.reserve(0);
      encodeUsage(this.#writer, field, events, at);
    }
  }

  #text(field: number, text: string): void {
    if (text === '') return;
    const bytes = Buffer.from(text);
    this.#writer.octets(field, bytes, 0, bytes.length);
  }
}

function encodeUsage(writer: ProtobufWriter, field: number, events: Uint32Array, at: number): void {
  const word = (index: number): number => events[at + index] ?? 0;
  const mark = writer.size;
  encodeNanoseconds(writer, 10, word(EventWord.EndTime), word(EventWord.EndTime + 1));
  encodeNanoseconds(writer, 9, word(EventWord.StartTime), word(EventWord.StartTime + 1));
  encodeNanoseconds(writer, 8, word(EventWord.Duration), word(EventWord.Duration + 1));
  writer.uint64(7, word(EventWord.DownlinkPackets), word(EventWord.DownlinkPackets + 1));
  writer.uint64(6, word(EventWord.UplinkPackets), word(EventWord.UplinkPackets + 1));
  writer.uint64(5, word(EventWord.DownlinkBytes), word(EventWord.DownlinkBytes + 1));
  writer.uint64(4, word(EventWord.UplinkBytes), word(EventWord.UplinkBytes + 1));
  const triggers = writer.size;
  for (let trigger = USAGE_TRIGGERS - 1; trigger > 0; trigger--) {
    if (((word(EventWord.Triggers) >>> trigger) & 1) !== 0) writer.raw(trigger);
  }
  if (writer.size > triggers) writer.close(3, triggers);
  writer.uint32(2, word(EventWord.Sequence));
  writer.uint32(1, word(EventWord.Id));
  writer.close(field, mark);
}

/** Whether a PDR before the one at record[at…] has the same TEID. */
function sharesFTeid(record: Uint32Array, first: number, at: number): boolean {
  const teid = record[at + layout.PDR_TEID];
  for (let other = first; other < at; other += layout.PDR_WORDS) {
    if (record[other + layout.PDR_TEID] === teid) return true;
  }
  return false;
}
