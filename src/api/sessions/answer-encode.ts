import { highWord, lowWord } from '../../base/units.js';
import { ProtobufWriter } from '../../model/protobuf.js';
import { HEADER_SESSION_INDEX } from '../../model/record-layout.js';
import {
  addFailure,
  addPageSession,
  addResult,
  beginPage,
  encodeDeleteResponse,
  encodeReport,
  encodeUpdateResponse,
  finishBatch,
} from '../../model/result-encode.js';
import { encodeSession } from '../../model/session-encode.js';
import type { AdvertisedAddresses } from '../../session/advertised-addresses.js';
import type { OperationBatch, Report, SessionPage } from '../../session/engine.js';

/** Worker that runs a session now, by its session index. */
export type WorkerOf = (sessionIndex: number) => number;

/**
 * Answers of SessionService as bytes of their own, by one reused writer. It goes from the end
 * of a message to its front, so what comes last is written first.
 */
export class AnswerEncoder {
  readonly #writer = new ProtobufWriter();

  constructor(
    private readonly workerOf: WorkerOf,
    private readonly addresses: AdvertisedAddresses,
  ) {}

  /** Session */
  session(record: Uint32Array): Buffer {
    this.#writer.reset();
    const shown = this.addresses.shown(record);
    encodeSession(this.#writer, shown, 0, this.#worker(record));
    return this.#writer.take();
  }

  /** UpdateSessionResponse */
  updateResponse(record: Uint32Array, usage: Uint32Array): Buffer {
    this.#writer.reset();
    const shown = this.addresses.shown(record);
    encodeUpdateResponse(this.#writer, shown, 0, this.#worker(record), usage);
    return this.#writer.take();
  }

  /** DeleteSessionResponse */
  deleteResponse(usage: Uint32Array): Buffer {
    this.#writer.reset();
    encodeDeleteResponse(this.#writer, usage);
    return this.#writer.take();
  }

  /** ListSessionsResponse */
  list(page: SessionPage): Buffer {
    this.#writer.reset();
    beginPage(this.#writer, page.nextPageToken, page.total);
    for (const record of page.records.toReversed()) {
      const shown = this.addresses.shown(record);
      addPageSession(this.#writer, shown, 0, this.#worker(record));
    }
    return this.#writer.take();
  }

  /** SessionBatchResult; results without sessions when `brief`. */
  batchResult(batch: OperationBatch, idLow: number, idHigh: number, brief: boolean): Buffer {
    const writer = this.#writer;
    writer.reset();
    for (let position = batch.count - 1; position >= 0; position--) {
      const error = batch.error(position);
      if (error !== undefined) {
        addFailure(writer, error.grpcStatus, error.message, error.field);
        continue;
      }
      const usage = batch.usage(position);
      const { words, start } = this.addresses.shownAt(batch.recordAt(position));
      const worker = this.workerOf(words[start + HEADER_SESSION_INDEX]!);
      addResult(writer, words, start, worker, brief, usage);
    }
    finishBatch(writer, idLow, idHigh);
    return writer.take();
  }

  /** Report */
  report(report: Report): Buffer {
    const { seid } = report;
    const head = { ...report, seidLow: lowWord(seid), seidHigh: highWord(seid) };
    this.#writer.reset();
    encodeReport(this.#writer, head, report.event, 0);
    return this.#writer.take();
  }

  #worker(record: Uint32Array): number {
    return this.workerOf(record[HEADER_SESSION_INDEX] ?? 0);
  }
}
