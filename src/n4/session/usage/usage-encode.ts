/**
 * Usage of a URR as a Usage Report IE. Always with volume, duration and times, since there
 * are SMFs that read them unasked. Source: TS 29.244 clauses 7.5.5.2, 7.5.7.2, 7.5.8.3. Pure.
 */
import { EVENT_WORDS, EventWord } from '../../../datapath/datapath.js';
import {
  QUERY_REFERENCE_WORD,
  USAGE_PART_WORD,
  UsageTrigger,
} from '../../../datapath/usage-event.js';
import { urrCount, urrsAt } from '../../../model/record.js';
import { URR_COUNT_PACKETS, URR_FLAGS, URR_WORDS } from '../../../model/record-layout.js';
import type { RecordPlace } from '../../../session/engine.js';
import * as Ie from '../../codec/ie.js';
import { MESSAGE_MAX, type MessageWriter } from '../../codec/message-writer.js';
import {
  PACKETS_DOWNLINK,
  PACKETS_TOTAL,
  PACKETS_UPLINK,
  VOLUME_DOWNLINK,
  VOLUME_TOTAL,
  VOLUME_UPLINK,
  Volume,
} from '../../codec/values/volume.js';
import { INACTIVITY_URR_ID } from '../../rules/urr-compile.js';

/** Bits of Usage Report Trigger, octet 5 lowest, by the bits of UsageTrigger. */
const TRIGGERS: readonly (readonly [UsageTrigger, number])[] = [
  [UsageTrigger.Periodic, 1 << 0], // PERIO
  [UsageTrigger.VolumeThreshold, 1 << 1], // VOLTH
  [UsageTrigger.TimeThreshold, 1 << 2], // TIMTH
  [UsageTrigger.QuotaHoldingTime, 1 << 3], // QUHTI
  [UsageTrigger.Start, 1 << 4], // START
  [UsageTrigger.Stop, 1 << 5], // STOPT
  [UsageTrigger.DroppedDownlink, 1 << 6], // DROTH
  [UsageTrigger.Immediate, 1 << 7], // IMMER
  [UsageTrigger.VolumeQuota, 1 << 8], // VOLQU
  [UsageTrigger.TimeQuota, 1 << 9], // TIMQU
  [UsageTrigger.Linked, 1 << 10], // LIUSA
  [UsageTrigger.Termination, 1 << 11], // TERMR
  [UsageTrigger.MonitoringTime, 1 << 12], // MONIT
  [UsageTrigger.EnvelopeClosure, 1 << 13], // ENVCL
  [UsageTrigger.QuotaValidityTime, 1 << 19], // QUVTI
  [UsageTrigger.EndMarker, 1 << 20], // REEMR
  [UsageTrigger.Inactivity, 1 << 21], // UPINT
];
const TRIGGER_OCTETS = 3;
/** Usage leaves room in an answer for what says that more follows. */
export const ANSWER_MAX = MESSAGE_MAX - 6;
/** Total, uplink and downlink, and with packets the same of these. */
const BYTES = VOLUME_TOTAL | VOLUME_UPLINK | VOLUME_DOWNLINK;
const BYTES_AND_PACKETS = BYTES | PACKETS_TOTAL | PACKETS_UPLINK | PACKETS_DOWNLINK;
const WORD = 2 ** 32;
const NS_PER_S = 1e9;
const volume = new Volume();

/** Whether an SMF may know of the URR. */
export function isOfSmf(words: Uint32Array, at: number): boolean {
  return words[at + EventWord.Id] !== INACTIVITY_URR_ID;
}

/** Flags of the session's URR that the event at events[at…] is of; 0: it is gone. */
function urrFlags(place: RecordPlace, events: Uint32Array, at: number): number {
  const { words, start } = place;
  const first = urrsAt(words, start);
  const end = first + urrCount(words, start) * URR_WORDS;
  for (let urr = first; urr < end; urr += URR_WORDS) {
    if (words[urr] === events[at + EventWord.Id]) return words[urr + URR_FLAGS]!;
  }
  return 0;
}

/**
 * The event at words[at…] as an IE of that type; false: it did not fit, nothing was written.
 * @param place  the session's record, null: it is gone.
 * @param limit  octets of the message.
 * @param application  ID of the one that was detected, null: none, or it is not known.
 */
export function writeUsage(
  writer: MessageWriter,
  ieType: number,
  words: Uint32Array,
  at: number,
  place: RecordPlace | null,
  limit = MESSAGE_MAX,
  application: Uint8Array | null = null,
): boolean {
  const mark = writer.length;
  writer.open(ieType);
  writer.u32(Ie.UrrId, words[at + EventWord.Id]!);
  writer.u32(Ie.UrSeqn, words[at + EventWord.Sequence]!);
  const triggers = triggersOf(words[at + EventWord.Triggers]!);
  const flags = place === null ? 0 : urrFlags(place, words, at);
  const hasReference = words[at + QUERY_REFERENCE_WORD + 1] === 1;
  writer.flags(Ie.UsageReportTrigger, triggers, TRIGGER_OCTETS);
  writer.time(Ie.StartTime, secondsOf(words, at + EventWord.StartTime));
  writer.time(Ie.EndTime, secondsOf(words, at + EventWord.EndTime));
  volume.flags = (flags & URR_COUNT_PACKETS) !== 0 ? BYTES_AND_PACKETS : BYTES;
  fillVolume(words, at + EventWord.UplinkBytes, 0);
  fillVolume(words, at + EventWord.UplinkPackets, 6);
  writer.volume(Ie.VolumeMeasurement, volume);
  writer.u32(Ie.DurationMeasurement, secondsOf(words, at + EventWord.Duration));
  const part = words[at + USAGE_PART_WORD]!;
  if (part !== 0) writer.u8(Ie.UsageInformation, part);
  if (hasReference && ieType !== Ie.UsageReportInDeletion) {
    writer.u32(Ie.QueryUrrReference, words[at + QUERY_REFERENCE_WORD]!);
  }
  if (application !== null) {
    writer.open(Ie.ApplicationDetectionInformation);
    writer.copy(Ie.ApplicationId, application);
    writer.close();
  }
  writer.close();
  if (!writer.overflowed && writer.length <= limit) return true;
  writer.length = mark;
  writer.overflowed = false;
  return false;
}

/**
 * All entries of `words` that an SMF may know, as an answer has them; the index of the first
 * entry that did not fit, or the number of entries.
 */
export function writeUsages(
  writer: MessageWriter,
  ieType: number,
  words: Uint32Array,
  place: RecordPlace,
): number {
  const count = words.length / EVENT_WORDS;
  for (let entry = 0; entry < count; entry++) {
    const at = entry * EVENT_WORDS;
    if (!isOfSmf(words, at)) continue;
    if (!writeUsage(writer, ieType, words, at, place, ANSWER_MAX)) return entry;
  }
  return count;
}

/** How many usage reports follow an answer: entries of `words` from `first` on, and `more`. */
export function writeFurther(
  writer: MessageWriter,
  words: Uint32Array,
  first: number,
  more: number,
): void {
  let further = more;
  for (let at = first * EVENT_WORDS; at < words.length; at += EVENT_WORDS) {
    if (isOfSmf(words, at)) further++;
  }
  // The flag AURI in the highest bit would say that the number is not known yet.
  if (further > 0) writer.u16(Ie.AdditionalUsageReportsInformation, Math.min(further, 0x7fff));
}

function triggersOf(bits: number): number {
  let triggers = 0;
  for (const [bit, trigger] of TRIGGERS) if ((bits & bit) !== 0) triggers |= trigger;
  return triggers;
}

/** Nanoseconds, low word first, in whole seconds. */
function secondsOf(words: Uint32Array, at: number): number {
  return Math.floor((words[at + 1]! * WORD + words[at]!) / NS_PER_S) >>> 0;
}

/** Uplink at words[from…] and downlink behind it, as total, uplink, downlink at `to`. */
function fillVolume(words: Uint32Array, from: number, to: number): void {
  const filled = volume.words;
  const low = words[from]! + words[from + 2]!;
  filled[to] = low >>> 0;
  filled[to + 1] = words[from + 1]! + words[from + 3]! + (low >= WORD ? 1 : 0);
  for (let word = 0; word < 4; word++) filled[to + 2 + word] = words[from + word]!;
}
