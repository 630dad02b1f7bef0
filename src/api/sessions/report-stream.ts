import type { ServerDuplexStream } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import type { ReportReader } from '../../session/engine.js';
import { caughtToServiceError } from '../status.js';
import type { SessionServiceParts } from './service.js';
import { decodeWatch } from './watch-decode.js';

/** Reports taken from the log at a time. */
const REPORTS_PER_READ = 64;

/**
 * WatchReports: the first message says from where and for which sessions; later ones
 * acknowledge. A client that half-closes goes on receiving; only cancelling ends it.
 */
export class ReportStream {
  #reader: ReportReader | undefined;
  #writable = true;
  #waiting = false;
  #ended = false;
  readonly #close = (): void => {
    this.#fail(new SluiceError('unavailable', 'the node is shutting down'));
  };

  constructor(
    private readonly call: ServerDuplexStream<Buffer, Buffer>,
    private readonly owner: string,
    private readonly parts: SessionServiceParts,
  ) {
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    call.on('drain', () => {
      this.#writable = true;
      this.#pump();
    });
    call.on('cancelled', () => this.#stop());
    call.on('error', () => this.#stop());
    parts.closing.addEventListener('abort', this.#close);
  }

  #receive(bytes: Buffer): void {
    if (this.#ended) return;
    const { decoder, engine } = this.parts;
    try {
      const request = decodeWatch(bytes, decoder.refusal);
      if (request === undefined) throw decoder.refusal.toError();
      const { cursor, names, acknowledge } = request;
      if (this.#reader === undefined) {
        this.#reader = engine.watchReports(this.owner, cursor, names);
      } else if (cursor !== '' || names.length > 0) {
        const field = cursor !== '' ? 'cursor' : 'names';
        throw new SluiceError('invalid_argument', 'belongs to the first message only', { field });
      }
      if (acknowledge !== '') this.#reader.acknowledge(acknowledge);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#pump();
  }

  #pump(): void {
    const reader = this.#reader;
    const { encoder } = this.parts;
    if (reader === undefined || this.#waiting) return;
    try {
      while (this.#writable && !this.#ended) {
        const reports = reader.read(REPORTS_PER_READ);
        if (reports.length === 0) {
          this.#waiting = true;
          reader.onReadable(() => {
            this.#waiting = false;
            this.#pump();
          });
          return;
        }
        // All of a read are written: the stream takes them and tells when to go on.
        for (const report of reports) this.#writable = this.call.write(encoder.report(report));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#stop();
    this.call.emit('error', caughtToServiceError(error, this.parts.log));
  }

  #stop(): void {
    this.#ended = true;
    this.parts.closing.removeEventListener('abort', this.#close);
    this.#reader?.close();
  }
}
