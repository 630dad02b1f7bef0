import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../base/errors.js';
import { RecordBuffer } from '../../record.js';
import { encodeMessage, type Message, sampleSession } from '../../sample.fixture.js';
import { SessionDecoder } from '../../session-decode.js';
import { RecordValidator } from '../../validate.js';

const refusal = new Refusal();
const record = new RecordBuffer();
const decoder = new SessionDecoder(record, refusal);
const validator = new RecordValidator(refusal);

/** The sample with more in its first URR, which measures volume; true, or what was refused. */
function outcome(more: Message): true | string {
  const message: Message = sampleSession();
  const urrs = message.urrs as Message[];
  Object.assign(urrs[0]!, more);
  const bytes = encodeMessage('Session', message);
  if (!decoder.decode(bytes, 0, bytes.length)) return refusal.field;
  return validator.validate(record.words, 0) || refusal.field;
}

const at = (seconds: number, limits: Message = {}): Message => ({ time: { seconds }, ...limits });
const times = (count: number) => Array.from({ length: count }, (_, index) => at(index + 1));

const REFUSED: readonly [string, string, Message][] = [
  ['an envelope without inactivity', 'report_envelope', { report_envelope: true }],
  ['an instant start of nothing', 'instant_start', { instant_start: true }],
  ['a quota holding time of 0', 'quota_holding_time', { quota_holding_time: {} }],
  [
    'a validity time of 0',
    'quota_validity_time',
    { quota_validity_time: {}, volume_quota: { total_bytes: '1' } },
  ],
  ['a validity without a quota', 'quota_validity_time', { quota_validity_time: { seconds: 9 } }],
  [
    'a threshold of no dropped packets',
    'dropped_downlink_threshold.packets',
    { dropped_downlink_threshold: { packets: '0' } },
  ],
  ['a monitoring time without a time', 'monitoring_times[0].time', { monitoring_times: [{}] }],
  [
    'a monitoring time between two seconds',
    'monitoring_times[0].time',
    { monitoring_times: [{ time: { seconds: 5, nanos: 1 } }] },
  ],
  [
    'monitoring times that go back',
    'monitoring_times[1].time',
    { monitoring_times: [at(5), at(5)] },
  ],
  [
    'a time quota from then on without a duration',
    'monitoring_times[0].time_quota',
    { monitoring_times: [at(5, { time_quota: { seconds: 1 } })] },
  ],
  [
    'a threshold of 0 from then on',
    'monitoring_times[1].volume_threshold.uplink_bytes',
    { monitoring_times: [at(4), at(5, { volume_threshold: { uplink_bytes: '0' } })] },
  ],
  ['too many monitoring times', 'monitoring_times', { monitoring_times: times(17) }],
];

describe('limits of URRs', () => {
  it.each(REFUSED)('refuses %s at %s', (_, field, more) => {
    expect(outcome(more)).toBe(`session.urrs[0].${field}`);
    expect(refusal.message).toMatch(/^must .{5,}[^.]$/);
    expect(refusal.code).toBe('invalid_argument');
  });

  it('accepts sixteen monitoring times, and a validity of what they grant', () => {
    expect(outcome({ monitoring_times: times(16) })).toBe(true);
    const granted = at(5, { volume_quota: { total_bytes: '0' } });
    const validity = { quota_validity_time: { seconds: 9 } };
    expect(outcome({ monitoring_times: [granted], ...validity })).toBe(true);
  });
});
