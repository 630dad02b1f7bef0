/**
 * Usage of a URR as a Usage Report IE. Always with volume, duration and times, since there
 * are SMFs that read them unasked. Source: TS 29.244 clauses 7.5.5.2, 7.5.7.2, 7.5.8.3. Pure.
 */
import { EVENT_WORDS, EventWord } from '../../datapath/datapath.js';
import * as Ie from '../codec/ie.js';
import { MESSAGE_MAX, type MessageWriter } from '../codec/message-writer.js';
import { Volume } from '../codec/values/volume.js';
import { INACTIVITY_URR_ID } from '../rules/urr-compile.js';

/** Bits of Usage Report Trigger, octet 5 lowest, by the numbers of UsageTrigger of the API. */
const TRIGGERS = [
  0,
  1 << 0, // PERIO
  1 << 1, // VOLTH
  1 << 2, // TIMTH
  1 << 8, // VOLQU
  1 << 9, // TIMQU
  1 << 7, // IMMER
  1 << 11, // TERMR
  1 << 4, // START
  1 << 5, // STOPT
  1 << 10, // LIUSA
];
const TRIGGER_OCTETS = 3;
/** TOVOL, ULVOL and DLVOL. */
const VOLUME_FLAGS = 7;
const WORD = 2 ** 32;
const NS_PER_S = 1e9;
const volume = new Volume();
volume.flags = VOLUME_FLAGS;

/** Whether an SMF may know of the URR. */
export function isOfSmf(words: Uint32Array, at: number): boolean {
  return words[at + EventWord.Id] !== INACTIVITY_URR_ID;
}

/** The event at words[at…] as an IE of that type; false: it did not fit, nothing was written. */
export function writeUsage(
  writer: MessageWriter,
  ieType: number,
  words: Uint32Array,
  at: number,
): boolean {
  const mark = writer.length;
  writer.open(ieType);
  writer.u32(Ie.UrrId, words[at + EventWord.Id]!);
  writer.u32(Ie.UrSeqn, words[at + EventWord.Sequence]!);
  writer.flags(Ie.UsageReportTrigger, triggersOf(words[at + EventWord.Triggers]!), TRIGGER_OCTETS);
  writer.time(Ie.StartTime, secondsOf(words, at + EventWord.StartTime));
  writer.time(Ie.EndTime, secondsOf(words, at + EventWord.EndTime));
  fillVolume(words, at);
  writer.volume(Ie.VolumeMeasurement, volume);
  writer.u32(Ie.DurationMeasurement, secondsOf(words, at + EventWord.Duration));
  writer.close();
  if (!writer.overflowed && writer.length <= MESSAGE_MAX) return true;
  writer.length = mark;
  writer.overflowed = false;
  return false;
}

/**
 * All entries of `words` from `first` on that an SMF may know; the index of the first entry
 * that did not fit, or the number of entries.
 */
export function writeUsages(
  writer: MessageWriter,
  ieType: number,
  words: Uint32Array,
  first = 0,
): number {
  const count = words.length / EVENT_WORDS;
  for (let entry = first; entry < count; entry++) {
    const at = entry * EVENT_WORDS;
    if (isOfSmf(words, at) && !writeUsage(writer, ieType, words, at)) return entry;
  }
  return count;
}

function triggersOf(bits: number): number {
  let triggers = 0;
  for (let trigger = 1; trigger < TRIGGERS.length; trigger++) {
    if ((bits & (1 << trigger)) !== 0) triggers |= TRIGGERS[trigger]!;
  }
  return triggers;
}

/** Nanoseconds, low word first, in whole seconds. */
function secondsOf(words: Uint32Array, at: number): number {
  return Math.floor((words[at + 1]! * WORD + words[at]!) / NS_PER_S) >>> 0;
}

function fillVolume(words: Uint32Array, at: number): void {
  const to = volume.words;
  const up = at + EventWord.UplinkBytes;
  const down = at + EventWord.DownlinkBytes;
  const low = words[up]! + words[down]!;
  to[0] = low >>> 0;
  to[1] = words[up + 1]! + words[down + 1]! + (low >= WORD ? 1 : 0);
  to[2] = words[up]!;
  to[3] = words[up + 1]!;
  to[4] = words[down]!;
  to[5] = words[down + 1]!;
}
