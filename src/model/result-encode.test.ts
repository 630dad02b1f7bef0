import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../base/errors.js';
import { ProtobufWriter } from './protobuf.js';
import { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';
import * as result from './result-encode.js';
import { decodeMessage, encodeMessage, type Message, sampleSession } from './sample.fixture.js';
import { SessionDecoder } from './session-decode.js';

const NO_USAGE = new Uint32Array(0);

/** The sample as it is after the engine has chosen what was open. */
function chosenRecord(): RecordBuffer {
  const record = new RecordBuffer();
  const decoder = new SessionDecoder(record, new Refusal());
  const message = sampleSession();
  const [, second] = message.pdrs as [unknown, { pdi: Message }];
  second.pdi.local_f_teid = { choose_id: 0 };
  const bytes = encodeMessage('Session', message);
  expect(decoder.decode(bytes, 0, bytes.length)).toBe(true);
  const words = record.words;
  for (const pdr of [0, 1]) {
    const at = layout.HEADER_WORDS + pdr * layout.PDR_WORDS;
    words[at + layout.PDR_TEID] = 0xaa000001 + pdr;
    words[at + layout.PDR_LOCAL_IPV4] = 0x7f000001;
    words[at + layout.PDR_F_TEID] = words[at + layout.PDR_F_TEID]! | layout.F_TEID_IPV4;
  }
  words[layout.HEADER_UE_IPV4] = 0x0a3c0007;
  words[layout.HEADER_SEID_LOW] = 0xffffffff;
  words[layout.HEADER_SEID_HIGH] = 0x80000001;
  words[layout.HEADER_REVISION_LOW] = 3;
  words[layout.HEADER_CREATE_TIME_LOW] = 1_700_000_000_123 % 2 ** 32;
  words[layout.HEADER_CREATE_TIME_HIGH] = Math.floor(1_700_000_000_123 / 2 ** 32);
  record.setText(layout.HEADER_OWNER, Buffer.from('grpc:test'));
  expect(record.finish()).toBe(true);
  return record;
}

const SEID = String((0x80000001n << 32n) | 0xffffffffn);
const OUTPUTS = {
  seid: SEID,
  revision: '3',
  owner: 'grpc:test',
  create_time: { seconds: '1700000000', nanos: 123_000_000 },
  worker: 2,
};

function usageEvent(): Uint32Array {
  const event = new Uint32Array(result.EVENT_WORDS);
  event[result.EVENT_KIND] = result.KIND_USAGE;
  event[result.EVENT_ID] = 7;
  event[result.EVENT_SEQUENCE] = 2;
  event[result.EVENT_TRIGGERS] = (1 << 2) | (1 << 7);
  event[result.EVENT_UPLINK_BYTES] = 1000;
  event[result.EVENT_UPLINK_BYTES + 3] = 1;
  return event;
}
const USAGE = {
  urr_id: 7,
  sequence: 2,
  triggers: ['USAGE_TRIGGER_VOLUME_THRESHOLD', 'USAGE_TRIGGER_TERMINATION'],
  uplink_bytes: '1000',
  downlink_bytes: '4294967296',
  duration: {},
};

function setNanoseconds(event: Uint32Array, at: number, value: bigint): void {
  event[at] = Number(value & 0xffffffffn);
  event[at + 1] = Number(value >> 32n);
}

describe('results', () => {
  const writer = new ProtobufWriter(16);
  const record = chosenRecord();

  it('shows a session with its outputs', () => {
    writer.reset();
    result.encodeUpdateResponse(writer, record.words, 0, 2, usageEvent());
    const read = decodeMessage('UpdateSessionResponse', writer.take());
    expect(read.session).toMatchObject(OUTPUTS);
    expect(read.session).toMatchObject({
      pdrs: [
        { pdi: { ue_address: { ipv4: '10.60.0.7' }, local_f_teid: { chosen_teid: 0xaa000001 } } },
        { pdi: { local_f_teid: { choose_id: 0, ipv4: '127.0.0.1', chosen_teid: 0xaa000002 } } },
        {},
        {},
      ],
    });
    expect(read.usage).toEqual([USAGE]);
  });

  it('writes a batch result in the order of its operations', () => {
    const usage = new Uint32Array([...usageEvent(), ...usageEvent()]);
    writer.reset();
    result.addResult(writer, record.words, 0, 2, true, usage);
    result.addFailure(writer, 3, 'must be given – é', 'session.name');
    result.addResult(writer, record.words, 0, 2, false, NO_USAGE);
    result.finishBatch(writer, 9, 1);
    const read = decodeMessage('SessionBatchResult', writer.take());
    const chosen_f_teids = [
      { choose_id: 5, ipv4: '127.0.0.1', chosen_teid: 0xaa000001 },
      { choose_id: 0, ipv4: '127.0.0.1', chosen_teid: 0xaa000002 },
    ];
    const done = { seid: SEID, revision: '3', chosen_f_teids, ue_address: { ipv4: '10.60.0.7' } };
    expect(read).toEqual({
      batch_id: '4294967305',
      results: [
        { ...done, session: expect.objectContaining(OUTPUTS) },
        { code: 3, message: 'must be given – é', field: 'session.name' },
        { ...done, usage: [USAGE, USAGE] },
      ],
    });
  });

  it('names an F-TEID that PDRs share once', () => {
    const shared = chosenRecord();
    const first = shared.words[layout.HEADER_WORDS + layout.PDR_F_TEID]!;
    shared.words[layout.HEADER_WORDS + layout.PDR_WORDS + layout.PDR_F_TEID] = first;
    writer.reset();
    result.addResult(writer, shared.words, 0, 0, true, NO_USAGE);
    const read = decodeMessage('SessionBatchResult', writer.take());
    expect(read.results).toMatchObject([{ chosen_f_teids: [{ choose_id: 5 }] }]);
  });

  it('writes pages and final usage', () => {
    writer.reset();
    result.beginPage(writer, 'next', 5_000_000_000);
    result.addPageSession(writer, record.words, 0, 2);
    result.addPageSession(writer, record.words, 0, 2);
    expect(decodeMessage('ListSessionsResponse', writer.take())).toMatchObject({
      sessions: [OUTPUTS, OUTPUTS],
      next_page_token: 'next',
      total: '5000000000',
    });
    writer.reset();
    result.encodeDeleteResponse(writer, usageEvent());
    expect(decodeMessage('DeleteSessionResponse', writer.take())).toEqual({ usage: [USAGE] });
  });

  it('reads a record in the middle of other words', () => {
    const slab = new Uint32Array(record.top + 100);
    slab.set(record.words.subarray(0, record.top), 37);
    writer.reset();
    result.addPageSession(writer, slab, 37, 2);
    const there = writer.take();
    writer.reset();
    result.addPageSession(writer, record.words, 0, 2);
    expect(there).toEqual(writer.take());
  });
});

describe('reports', () => {
  const writer = new ProtobufWriter();
  const head = { cursor: '17', sessionName: 'a', seidLow: 5, seidHigh: 0, timeMs: 1500 };
  const common = {
    cursor: '17',
    session_name: 'a',
    seid: '5',
    time: { seconds: '1', nanos: 500_000_000 },
  };

  function reported(event: Uint32Array): Message {
    writer.reset();
    result.encodeReport(writer, head, event, 0);
    return decodeMessage('Report', writer.take());
  }

  it('carries each kind of event', () => {
    const event = usageEvent();
    expect(reported(event)).toEqual({ ...common, usage: USAGE });
    event[result.EVENT_QFI] = 9;
    event[result.EVENT_KIND] = result.KIND_DOWNLINK_DATA;
    expect(reported(event)).toEqual({ ...common, downlink_data: { pdr_id: 7, qfi: 9 } });
    event[result.EVENT_KIND] = result.KIND_INACTIVITY;
    expect(reported(event)).toEqual({ ...common, inactivity: { urr_id: 7 } });
    event[result.EVENT_KIND] = result.KIND_ERROR_INDICATION;
    event[result.EVENT_QFI] = 0;
    event[result.EVENT_ADDRESS] = 0x0a000001;
    const teid = 7;
    expect(reported(event)).toEqual({ ...common, error_indication: { teid, peer: '10.0.0.1' } });
    event[result.EVENT_QFI] = 1;
    event.set([0x20010db8, 0, 0, 1], result.EVENT_ADDRESS);
    expect(reported(event)).toMatchObject({ error_indication: { peer: '2001:db8::1' } });
  });

  it('writes 64-bit nanoseconds exactly', () => {
    const time = fc.bigInt({ min: 1n, max: 0x7fffffffffffffffn });
    fc.assert(
      fc.property(time, time, (start, duration) => {
        const event = usageEvent();
        setNanoseconds(event, result.EVENT_START_TIME, start);
        setNanoseconds(event, result.EVENT_END_TIME, start + 1n);
        setNanoseconds(event, result.EVENT_DURATION, duration);
        const { usage } = reported(event) as { usage: { [field: string]: Message } };
        const total = (value: Message | undefined) =>
          BigInt(String(value?.seconds ?? 0)) * 1_000_000_000n + BigInt(Number(value?.nanos ?? 0));
        expect(total(usage.start_time)).toBe(start);
        expect(total(usage.end_time)).toBe(start + 1n);
        expect(total(usage.duration)).toBe(duration);
      }),
      { numRuns: 1000 },
    );
  });

  it('lays events out as the datapath does', () => {
    const file = new URL('../datapath/datapath.ts', import.meta.url);
    const source = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    const member = (of: string, name: string) => {
      const body = new RegExp(`enum ${of} \\{([^}]*)\\}`).exec(source)?.[1] ?? '';
      return Number(new RegExp(`\\b${name} = (\\d+)`).exec(body)?.[1]);
    };
    const word = (name: string) => member('EventWord', name);
    const kind = (name: string) => member('EventKind', name);
    expect(source).toContain(`EVENT_WORDS = ${result.EVENT_WORDS};`);
    expect(word('Kind')).toBe(result.EVENT_KIND);
    expect(word('Id')).toBe(result.EVENT_ID);
    expect(word('Sequence')).toBe(result.EVENT_SEQUENCE);
    expect(word('Triggers')).toBe(result.EVENT_TRIGGERS);
    expect(word('UplinkBytes')).toBe(result.EVENT_UPLINK_BYTES);
    expect(word('DownlinkBytes')).toBe(result.EVENT_UPLINK_BYTES + 2);
    expect(word('UplinkPackets')).toBe(result.EVENT_UPLINK_BYTES + 4);
    expect(word('DownlinkPackets')).toBe(result.EVENT_UPLINK_BYTES + 6);
    expect(word('StartTime')).toBe(result.EVENT_START_TIME);
    expect(word('EndTime')).toBe(result.EVENT_END_TIME);
    expect(word('Duration')).toBe(result.EVENT_DURATION);
    expect(word('Qfi')).toBe(result.EVENT_QFI);
    expect(word('Address')).toBe(result.EVENT_ADDRESS);
    expect(kind('Usage')).toBe(result.KIND_USAGE);
    expect(kind('DownlinkData')).toBe(result.KIND_DOWNLINK_DATA);
    expect(kind('ErrorIndication')).toBe(result.KIND_ERROR_INDICATION);
    expect(kind('Inactivity')).toBe(result.KIND_INACTIVITY);
  });
});
