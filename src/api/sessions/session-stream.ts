import type { ServerDuplexStream } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import { joinWords } from '../../base/units.js';
import { ProtobufReader, WIRE_BYTES } from '../../model/protobuf.js';
import type { OperationBatch } from '../../session/engine.js';
import { caughtToServiceError } from '../status.js';
import { addOperation, CREATE, DELETE } from './operations.js';
import { OrderedAnswers } from './ordered-answers.js';
import type { SessionServiceParts } from './service.js';

/** Operations of one message; their results have to fit into one message, too. */
const OPERATIONS_PER_BATCH_MAX = 10_000;

/** Tags of SessionBatch: number << 3 | wire type. */
const enum Tag {
  BatchId = 8,
  Operation = 18,
  Brief = 24,
}

/**
 * StreamSessions: batches into the engine as they come, results back in their order. A batch
 * whose bytes make no sense ends the stream, behind the results of those before it.
 */
export class SessionStream {
  readonly #answers: OrderedAnswers;
  readonly #reader = new ProtobufReader();
  readonly #inner = new ProtobufReader();
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
    const { engine, encoder, counter } = this.parts;
    const { batchId, brief, operations } = this.#scan(bytes);
    const kinds = new Uint8Array(operations);
    const batch = engine.openBatch(this.owner, (done) => {
      for (let i = 0; i < operations; i++) counter.count(kinds[i] ?? 0, done.error(i));
      if (this.#answers.closed) return;
      this.#answers.settle(slot, encoder.batchResult(done, batchId, brief));
    });
    const slot = this.#answers.open();
    try {
      this.#addOperations(batch, bytes, kinds);
    } finally {
      batch.submit();
    }
  }

  /** Reads what the batch says of itself, and whether its bytes are a batch at all. */
  #scan(bytes: Buffer): { batchId: bigint; brief: boolean; operations: number } {
    const reader = this.#reader;
    let batchId = 0n;
    let brief = false;
    let operations = 0;
    reader.reset(bytes, 0, bytes.length);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === Tag.BatchId) {
        reader.varint();
        batchId = joinWords(reader.low, reader.high);
      } else if (tag === Tag.Brief) brief = reader.bool();
      else {
        if (tag === Tag.Operation) operations++;
        reader.skip(tag);
      }
    }
    if (reader.failed) {
      throw new SluiceError('invalid_argument', 'the batch is no valid protobuf message');
    }
    if (operations <= OPERATIONS_PER_BATCH_MAX) return { batchId, brief, operations };
    const message = `must be at most ${OPERATIONS_PER_BATCH_MAX}, not ${operations}`;
    throw new SluiceError('invalid_argument', message, { field: 'operations' });
  }

  #addOperations(batch: OperationBatch, bytes: Buffer, kinds: Uint8Array): void {
    const reader = this.#reader;
    let position = 0;
    reader.reset(bytes, 0, bytes.length);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag !== Tag.Operation) {
        reader.skip(tag);
        continue;
      }
      const length = reader.length();
      kinds[position++] = this.#addOperation(batch, bytes, reader.position, length);
      reader.position += length;
    }
  }

  /** Adds one SessionOperation; its kind. Of a oneof that occurs twice the last one counts. */
  #addOperation(batch: OperationBatch, bytes: Buffer, start: number, length: number): number {
    const reader = this.#inner;
    let kind = 0;
    let from = start;
    let to = start;
    reader.reset(bytes, start, start + length);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      const number = tag >>> 3;
      if ((tag & 7) === WIRE_BYTES && number >= CREATE && number <= DELETE) {
        const size = reader.length();
        kind = number;
        from = reader.position;
        to = from + size;
        reader.position = to;
      } else reader.skip(tag);
    }
    if (reader.failed) kind = 0;
    addOperation(batch, kind, this.parts.decoder, bytes, from, to);
    return kind;
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
