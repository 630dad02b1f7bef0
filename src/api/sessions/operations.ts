import { SluiceError } from '../../base/errors.js';
import type { Metrics } from '../../base/metrics.js';
import { joinWords } from '../../base/units.js';
import {
  OPERATION_CREATE,
  OPERATION_DELETE,
  OPERATION_UPDATE,
  type RequestDecoder,
} from '../../model/request-decode.js';
import type { AdvertisedAddresses } from '../../session/advertised-addresses.js';
import type { OperationBatch, UpdateOptions } from '../../session/engine.js';
import { codeName } from '../status.js';

/** In the order of OPERATION_…, from 1. */
const NAMES = ['create', 'update', 'delete'];
const CODES = 17;

/** What it takes to read an operation; used again for each. */
export interface OperationReader {
  readonly decoder: RequestDecoder;
  readonly addresses: AdvertisedAddresses;
}

/** Adds the operation whose request lies in bytes[start…end) to a batch, or its refusal. */
export function addOperation(
  batch: OperationBatch,
  kind: number,
  { decoder, addresses }: OperationReader,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  if (kind < OPERATION_CREATE || kind > OPERATION_DELETE) {
    const message = 'must be create, update or delete, and well-formed';
    batch.refuse(new SluiceError('invalid_argument', message, { field: 'operation' }));
  } else if (kind === OPERATION_CREATE && decoder.create(bytes, start, end)) {
    addresses.toLocal(decoder.record.words);
    batch.create(decoder.record);
  } else if (kind === OPERATION_UPDATE && decoder.update(bytes, start, end)) {
    addresses.toLocal(decoder.record.words);
    batch.update(decoder.record, updateOptions(decoder));
  } else if (kind === OPERATION_DELETE && decoder.key(bytes, start, end)) {
    addDelete(batch, decoder, bytes);
  } else batch.refuse(decoder.refusal.toError());
}

function updateOptions(decoder: RequestDecoder): UpdateOptions {
  return {
    expectedRevision: joinWords(decoder.expectedRevisionLow, decoder.expectedRevisionHigh),
    sendEndMarkers: decoder.sendEndMarkers,
    dropBuffered: decoder.dropBuffered,
    queryUrrIds: [...decoder.queryUrrIds.subarray(0, decoder.queryUrrCount)],
  };
}

function addDelete(batch: OperationBatch, decoder: RequestDecoder, bytes: Buffer): void {
  const { seidLow, seidHigh, nameStart, nameLength } = decoder;
  if ((seidLow | seidHigh) === 0) {
    batch.deleteByNameAt(bytes, nameStart, nameLength);
  } else if (nameLength === 0) batch.deleteBySeid(seidLow, seidHigh);
  else {
    const message = 'must be given alone: a name and a SEID may be those of two sessions';
    batch.refuse(new SluiceError('invalid_argument', message, { field: 'seid' }));
  }
}

/** Operations by kind and outcome, plain words until a scrape asks. */
export class OperationCounter {
  readonly #counts = new Float64Array((OPERATION_DELETE + 1) * CODES);

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
    if (kind < OPERATION_CREATE || kind > OPERATION_DELETE) return;
    this.#counts[kind * CODES + (error?.grpcStatus ?? 0)]! += 1;
  }
}
