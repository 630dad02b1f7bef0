import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../base/errors.js';
import { session } from './arbitrary.fixture.js';
import { ProtobufWriter } from './protobuf.js';
import { RecordBuffer, recordWords, refText } from './record.js';
import * as layout from './record-layout.js';
import { decodeMessage, encodeMessage, type Message, sampleSession } from './sample.fixture.js';
import { SessionDecoder } from './session-decode.js';
import { encodeSession } from './session-encode.js';
import { RecordValidator } from './validate.js';

const refusal = new Refusal();
const record = new RecordBuffer();
const decoder = new SessionDecoder(record, refusal);
const validator = new RecordValidator(refusal);

function accept(bytes: Uint8Array): boolean {
  return decoder.decode(bytes, 0, bytes.length) && validator.validate(record.words, 0);
}
const written = (capacity?: number) => {
  const writer = new ProtobufWriter(capacity);
  writer.reset();
  encodeSession(writer, record.words, 0, 0);
  return writer.take();
};

describe('Session', () => {
  it('decodes and encodes to what it was, by an independent codec', () => {
    fc.assert(
      fc.property(session, (message) => {
        const bytes = encodeMessage('Session', message);
        expect([accept(bytes), refusal.field, refusal.message]).toEqual([
          true,
          refusal.field,
          refusal.message,
        ]);
        expect(decodeMessage('Session', written())).toEqual(decodeMessage('Session', bytes));
        expect(written(16)).toEqual(written());
      }),
      { numRuns: 150 },
    );
  });

  it('decodes its own encoding to the same record', () => {
    fc.assert(
      fc.property(session, (message) => {
        accept(encodeMessage('Session', message));
        const words = record.words.slice(0, record.top);
        expect(accept(written())).toBe(true);
        expect(record.words.slice(0, record.top)).toEqual(words);
        expect(recordWords(record.words, 0)).toBe(record.top);
        expect(record.top % 2).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('passes over outputs, unknown fields and the order of fields', () => {
    const plain = encodeMessage('Session', sampleSession());
    expect(accept(plain)).toBe(true);
    const words = record.words.slice(0, record.top);
    const outputs = encodeMessage('Session', {
      seid: '77',
      revision: '9',
      owner: 'grpc:x',
      create_time: { seconds: '1700000000' },
      worker: 3,
    });
    // Fields 100 varint, 101 fixed64, 102 group with a text in it, 103 fixed32.
    const unknown = Buffer.from(
      'a00601 a9060102030405060708 b306ba060178b406 bd0601020304'.replaceAll(' ', ''),
      'hex',
    );
    expect(accept(Buffer.concat([outputs, unknown, plain, unknown]))).toBe(true);
    expect(record.words.slice(0, record.top)).toEqual(words);
    expect(decoder.seidLow).toBe(77);
  });

  it.each([
    ['a group that ends as another', 'b306bc06'],
    ['a group without end', 'b306'],
    ['an end without group', 'b406'],
    ['wire type 6', '3e'],
    ['field 0', '0001'],
    ['a varint of eleven bytes', '10ffffffffffffffffffff01'],
    ['a varint above 64 bits', '10ffffffffffffffffff02'],
    ['a length beyond the end', '0a05414243'],
    ['a length above 2^31', '0affffffff0f'],
  ])('refuses %s', (_, hex) => {
    const plain = encodeMessage('Session', sampleSession());
    expect(accept(Buffer.concat([plain, Buffer.from(hex, 'hex')]))).toBe(false);
    expect(refusal).toMatchObject({ code: 'invalid_argument', field: 'session' });
  });

  it('follows groups to a bounded depth', () => {
    const plain = encodeMessage('Session', sampleSession());
    const nested = (depth: number) =>
      Buffer.concat([plain, Buffer.from('b306'.repeat(depth) + 'b406'.repeat(depth), 'hex')]);
    expect(accept(nested(60))).toBe(true);
    expect(accept(nested(1000))).toBe(false);
  });

  it('takes addresses beside a choose ID as outputs', () => {
    const message = sampleSession();
    const [first] = message.pdrs as [{ pdi: { local_f_teid: Message } }];
    first.pdi.local_f_teid = { choose_id: 5, ipv4: 'nonsense', chosen_teid: 7 };
    expect(accept(encodeMessage('Session', message))).toBe(true);
    const at = layout.HEADER_WORDS;
    expect(record.words[at + layout.PDR_TEID]).toBe(0);
    expect(record.words[at + layout.PDR_F_TEID]! & 0xffff).toBe(0x503);
  });

  it('knows the network instance of the UE address', () => {
    accept(encodeMessage('Session', sampleSession()));
    const ref = record.words[layout.HEADER_UE_INSTANCE]!;
    expect(refText(record.words, 0, ref)).toBe('internet');
    expect(record.words[layout.HEADER_FLAGS]).toBe(layout.UE_IPV4 | layout.UE_IPV4_FROM_POOL);
  });
});

describe('malformed sessions', () => {
  it('fails cleanly on every prefix that is no message of its own', () => {
    const bytes = encodeMessage('Session', sampleSession());
    let refused = 0;
    for (let length = 0; length < bytes.length; length++) {
      const accepted = decoder.decode(bytes, 0, length) && validator.validate(record.words, 0);
      expect(accepted && !endsBetweenRules(bytes, length)).toBe(false);
      if (!accepted) {
        refused++;
        expect(refusal.message).not.toBe('');
      }
    }
    expect(refused).toBeGreaterThan(bytes.length - 5);
  });

  it('never throws and never loops on mutated bytes', () => {
    const mutation = fc.tuple(fc.nat(100_000), fc.integer({ min: 0, max: 255 }));
    const originals = fc.sample(session, 20).map((message) => encodeMessage('Session', message));
    fc.assert(
      fc.property(
        fc.constantFrom(...originals),
        fc.array(mutation, { minLength: 1, maxLength: 8 }),
        (original, all) => {
          const bytes = Buffer.from(original);
          for (const [place, value] of all) bytes[place % bytes.length] = value;
          if (accept(bytes)) expect(() => decodeMessage('Session', written())).not.toThrow();
          else expect(refusal.field).not.toBe('');
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(accept(bytes)).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });

  it('refuses more rules, filters and bytes than a record holds', () => {
    const message = sampleSession();
    const fars = Array.from({ length: 65 }, (_, index) => ({ id: index + 1, drop: {} }));
    expect(accept(encodeMessage('Session', { ...message, fars }))).toBe(false);
    expect(refusal).toMatchObject({ code: 'resource_exhausted', field: 'session.fars' });
    const [first] = message.pdrs as [{ pdi: Message }];
    first.pdi.sdf_filters = Array.from({ length: 17 }, () => ({ tos: 1 }));
    expect(accept(encodeMessage('Session', message))).toBe(false);
    expect(refusal.field).toBe('session.pdrs[0].pdi.sdf_filters');
  });

  it('refuses a record above its bound', () => {
    const wide = { rulesPerSession: 255, filtersPerPdr: 255 };
    const large = new SessionDecoder(record, refusal, wide);
    const sdf_filters = Array.from({ length: 255 }, (_, index) => ({ spi: index }));
    const pdrs = Array.from({ length: 255 }, (_, index) => ({
      id: index + 1,
      pdi: { sdf_filters },
    }));
    const bytes = encodeMessage('Session', { pdrs, fars: [{ id: 1, drop: {} }] });
    expect(large.decode(bytes, 0, bytes.length)).toBe(false);
    expect(refusal).toMatchObject({ code: 'resource_exhausted', field: 'session' });
  });
});

/** A cut right behind the last URR, QER… still is a session when nothing refers to the rest. */
function endsBetweenRules(bytes: Uint8Array, length: number): boolean {
  try {
    decodeMessage('Session', bytes.subarray(0, length));
    return true;
  } catch {
    return false;
  }
}
