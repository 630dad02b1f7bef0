import { SluiceError } from '../../base/errors.js';
import type { Metrics } from '../../base/metrics.js';
import { highWord, lowWord } from '../../base/units.js';
import type { OperationBatch } from '../../session/engine.js';
import { codeName } from '../status.js';
import type { RequestDecoder } from './request-decode.js';

/** Numbers of the fields of SessionOperation, one more than the place in the names. */
export const CREATE = 1;
export const UPDATE = 2;
export const DELETE = 3;
const NAMES = ['create', 'update', 'delete'];
const CODES = 17;

/** Adds the operation whose request lies in bytes[start…end) to a batch, or its refusal. */
export function addOperation(
  batch: OperationBatch,
  kind: number,
  decoder: RequestDecoder,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (kind === CREATE && decoder.create(bytes, start, end)) batch.create(decoder.record);
  else if (kind === UPDATE && decoder.update(bytes, start, end)) {
    batch.update(decoder.record, decoder.updateOptions);
  } else if (kind === DELETE && decoder.key(bytes, start, end)) addDelete(batch, decoder);
  else if (kind >= CREATE && kind <= DELETE) batch.refuse(decoder.refusal.toError());
  else {
    const message = 'must be create, update or delete';
    batch.refuse(new SluiceError('invalid_argument', message, { field: 'operation' }));
  }
}

function addDelete(batch: OperationBatch, { name, seid }: RequestDecoder): void {
  if (seid === 0n) batch.deleteByName(name);
  else if (name === '') batch.deleteBySeid(lowWord(seid), highWord(seid));
  else {
    const message = 'must be given alone: a name and a SEID may be those of two sessions';
    batch.refuse(new SluiceError('invalid_argument', message, { field: 'seid' }));
  }
}

/** Operations by kind and outcome, plain words until a scrape asks. */
export class OperationCounter {
  readonly #counts = new Float64Array((DELETE + 1) * CODES);

  constructor(metrics: Metrics) {
    const counter = metrics.counter(
      'sluice_session_operations_total',
      'Session operations over gRPC that were answered',
      ['operation', 'code'],
    );
    metrics.onScrape(() => {
      counter.reset();
      this.#counts.forEach((count, place) => {
        const operation = NAMES[Math.floor(place / CODES) - 1];
        if (count === 0 || operation === undefined) return;
        counter.inc({ operation, code: codeName(place % CODES) }, count);
      });
    });
  }

  count(kind: number, error: SluiceError | undefined): void {
    if (kind < CREATE || kind > DELETE) return;
    this.#counts[kind * CODES + (error?.grpcStatus ?? 0)]! += 1;
  }
}
