import type { ServerDuplexStream } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import { caughtToServiceError } from '../status.js';
import { addOperation } from './operations.js';
import { OrderedAnswers } from './ordered-answers.js';
import type { SessionServiceParts } from './service.js';

/**
 * StreamSessions: batches into the engine as they come, results back in their order. A batch
 * whose bytes make no sense ends the stream, behind the results of those before it.
 */
export class SessionStream {
  readonly #answers: OrderedAnswers;
  readonly #close = (): void => {
    this.#fail(new SluiceError('unavailable', 'the node is shutting down'));
  };

  constructor(
    private readonly call: ServerDuplexStream<Buffer, Buffer>,
    private readonly owner: string,
    private readonly parts: SessionServiceParts,
  ) {
    this.#answers = new OrderedAnswers(call);
    call.on('data', (bytes: Buffer) => this.#receive(bytes));
    call.on('end', () => {
      this.#answers.endWith(() => {
        this.#forget();
        call.end();
      });
    });
    call.on('cancelled', () => {
      this.#answers.close();
      this.#forget();
    });
    parts.closing.addEventListener('abort', this.#close);
  }

  #receive(bytes: Buffer): void {
    if (this.#answers.ending || this.#answers.closed) return;
    try {
      this.#run(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  #run(bytes: Buffer): void {
    const { engine, encoder, counter, batches } = this.parts;
    if (!batches.read(bytes)) throw batches.refusal.toError();
    const { batchIdLow, batchIdHigh, brief, count, starts, ends } = batches;
    const kinds = batches.kinds.slice(0, count);
    const batch = engine.openBatch(this.owner, (done) => {
      for (let i = 0; i < count; i++) counter.count(kinds[i] ?? 0, done.error(i));
      if (this.#answers.closed) return;
      this.#answers.settle(slot, encoder.batchResult(done, batchIdLow, batchIdHigh, brief));
    });
    const slot = this.#answers.open();
    try {
      for (let i = 0; i < count; i++) {
        addOperation(batch, kinds[i] ?? 0, this.parts, bytes, starts[i] ?? 0, ends[i] ?? 0);
      }
    } finally {
      batch.submit();
    }
  }

  #fail(error: unknown): void {
    this.#answers.endWith(() => {
      this.#forget();
      this.call.emit('error', caughtToServiceError(error, this.parts.log));
    });
  }

  #forget(): void {
    this.parts.closing.removeEventListener('abort', this.#close);
  }
}
