import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../base/errors.js';
import { RecordBuffer, refText } from './record.js';
import * as layout from './record-layout.js';
import {
  BATCH_OPERATIONS_MAX,
  BatchReader,
  OPERATION_CREATE,
  OPERATION_DELETE,
  OPERATION_NONE,
  OPERATION_UPDATE,
  QUERY_URRS_MAX,
  RequestDecoder,
} from './request-decode.js';
import { encodeMessage, sampleSession } from './sample.fixture.js';

const refusal = new Refusal();
const record = new RecordBuffer();
const decoder = new RequestDecoder(record, refusal);
const textAt = (start: number, length: number) =>
  Buffer.from(decoder.bytes.subarray(start, start + length)).toString();
const name = () => refText(record.words, 0, record.words[layout.HEADER_NAME]!);

describe('requests', () => {
  it('decodes CreateSession without what is output', () => {
    const session = { ...sampleSession('a'), seid: '5' };
    expect(decoder.create(encodeMessage('CreateSessionRequest', { session }))).toBe(true);
    expect(name()).toBe('a');
    expect(record.words[layout.HEADER_SEID_LOW]).toBe(0);
  });

  it('decodes UpdateSession with all of its options', () => {
    const request = {
      session: { ...sampleSession(), name: undefined, seid: '18446744073709551615' },
      expected_revision: '4294967298',
      send_end_markers: true,
      drop_buffered: true,
      query_urr_ids: [1, 4294967295],
    };
    expect(decoder.update(encodeMessage('UpdateSessionRequest', request))).toBe(true);
    expect([...record.words.subarray(2, 4)]).toEqual([0xffffffff, 0xffffffff]);
    expect(decoder).toMatchObject({
      expectedRevisionLow: 2,
      expectedRevisionHigh: 1,
      sendEndMarkers: true,
      dropBuffered: true,
      queryUrrCount: 2,
    });
    expect([...decoder.queryUrrIds.subarray(0, 2)]).toEqual([1, 4294967295]);
    const plain = encodeMessage('UpdateSessionRequest', { session: sampleSession() });
    expect(decoder.update(plain)).toBe(true);
    expect(decoder).toMatchObject({ sendEndMarkers: false, queryUrrCount: 0, seidLow: 0 });
  });

  it('decodes keys', () => {
    expect(decoder.key(encodeMessage('GetSessionRequest', { name: 'x-1', seid: '3' }))).toBe(true);
    expect([textAt(decoder.nameStart, decoder.nameLength), decoder.seidLow]).toEqual(['x-1', 3]);
    expect(decoder.key(Buffer.alloc(0))).toBe(false);
    expect(refusal).toMatchObject({ code: 'invalid_argument', field: 'name' });
  });

  it('decodes ListSessions', () => {
    const request = { page_size: 4294967295, page_token: 'token', owner: 'n4:smf' };
    expect(decoder.list(encodeMessage('ListSessionsRequest', request))).toBe(true);
    expect(decoder.pageSize).toBe(4294967295);
    expect(textAt(decoder.pageTokenStart, decoder.pageTokenLength)).toBe('token');
    expect(textAt(decoder.ownerStart, decoder.ownerLength)).toBe('n4:smf');
  });

  it('refuses a request without a session, with two, and with too many queries', () => {
    expect(decoder.create(Buffer.alloc(0))).toBe(false);
    expect(refusal.field).toBe('session');
    const once = encodeMessage('CreateSessionRequest', { session: sampleSession() });
    expect(decoder.create(Buffer.concat([once, once]))).toBe(false);
    expect(refusal.field).toBe('session');
    const query_urr_ids = Array.from({ length: QUERY_URRS_MAX + 1 }, () => 1);
    const request = { session: sampleSession(), query_urr_ids };
    expect(decoder.update(encodeMessage('UpdateSessionRequest', request))).toBe(false);
    expect(refusal).toMatchObject({ code: 'resource_exhausted', field: 'query_urr_ids' });
  });

  it('never throws on mutated requests', () => {
    const session = sampleSession();
    const create = encodeMessage('CreateSessionRequest', { session });
    const update = encodeMessage('UpdateSessionRequest', { session, query_urr_ids: [1, 2] });
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(255), fc.nat(600), (place, value, length) => {
        for (const request of [create, update]) {
          const bytes = Buffer.from(request.subarray(0, request.length - (length % 50)));
          bytes[place % bytes.length] = value;
          for (const decode of [decoder.create, decoder.update, decoder.key, decoder.list]) {
            expect(typeof decode.call(decoder, bytes)).toBe('boolean');
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('SessionBatch', () => {
  const batch = new BatchReader(refusal);

  it('is walked in place', () => {
    const operations = [
      { create: { session: sampleSession('a') } },
      { delete: { name: 'b' } },
      { update: { session: sampleSession('c') } },
      {},
    ];
    const bytes = encodeMessage('SessionBatch', {
      batch_id: '4294967297',
      operations,
      brief: true,
    });
    expect(batch.read(bytes)).toBe(true);
    expect(batch).toMatchObject({ batchIdLow: 1, batchIdHigh: 1, brief: true, count: 4 });
    expect([...batch.kinds.subarray(0, 4)]).toEqual([
      OPERATION_CREATE,
      OPERATION_DELETE,
      OPERATION_UPDATE,
      OPERATION_NONE,
    ]);
    expect(decoder.create(bytes, batch.starts[0], batch.ends[0])).toBe(true);
    expect(name()).toBe('a');
    expect(decoder.key(bytes, batch.starts[1], batch.ends[1])).toBe(true);
    expect(textAt(decoder.nameStart, decoder.nameLength)).toBe('b');
    expect(decoder.update(bytes, batch.starts[2], batch.ends[2])).toBe(true);
    expect(name()).toBe('c');
  });

  it('keeps a malformed operation apart from the others', () => {
    const good = encodeMessage('SessionBatch', { operations: [{ delete: { name: 'b' } }] });
    const bad = Buffer.from('12020aff', 'hex');
    expect(batch.read(Buffer.concat([good, bad, good]))).toBe(true);
    expect([...batch.kinds.subarray(0, 3)]).toEqual([
      OPERATION_DELETE,
      OPERATION_NONE,
      OPERATION_DELETE,
    ]);
  });

  it('is refused when it is no message, or too large', () => {
    expect(batch.read(Buffer.from('12ff', 'hex'))).toBe(false);
    expect(refusal.code).toBe('invalid_argument');
    const operations = Array.from({ length: BATCH_OPERATIONS_MAX + 1 }, () => ({}));
    expect(batch.read(encodeMessage('SessionBatch', { operations }))).toBe(false);
    expect(refusal).toMatchObject({ code: 'resource_exhausted', field: 'operations' });
  });

  it('never throws on any bytes, and stays within them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        if (!batch.read(bytes)) return;
        for (let index = 0; index < batch.count; index++) {
          if (batch.kinds[index] === OPERATION_NONE) continue;
          expect(batch.starts[index]!).toBeLessThanOrEqual(batch.ends[index]!);
          expect(batch.ends[index]!).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
