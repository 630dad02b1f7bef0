/** Two usage reports of one URR that become one. Pure. */
import { EVENT_WORDS, EventWord } from '../../datapath/datapath.js';
import { USAGE_PART_WORD, UsagePart } from '../../datapath/usage-event.js';

const WORD = 2 ** 32;
/** Pairs of words that are summed. */
const SUMMED = [
  EventWord.UplinkBytes,
  EventWord.DownlinkBytes,
  EventWord.UplinkPackets,
  EventWord.DownlinkPackets,
  EventWord.Duration,
];

/** Tells whose usage an event is about. */
export function urrKey(words: Uint32Array, at: number): string {
  const session = words[at + EventWord.SessionIndex]!;
  return `${session}.${words[at + EventWord.Incarnation]!}.${words[at + EventWord.Id]!}`;
}

/** Adds a later report, at `at` of `events`, to `words`, which says then what both said. */
export function mergeUsage(words: Uint32Array, events: Uint32Array, at: number): void {
  for (const word of SUMMED) addPair(words, word, events, at + word);
  const triggers = words[EventWord.Triggers]! | events[at + EventWord.Triggers]!;
  // Everything else is the later one's, its sequence number among it; only the start stays.
  for (let word = EventWord.EndTime; word < EventWord.Duration; word++) {
    words[word] = events[at + word]!;
  }
  for (let word = EventWord.Run; word < EVENT_WORDS; word++) words[word] = events[at + word]!;
  if (words[USAGE_PART_WORD] !== events[at + USAGE_PART_WORD]) {
    words[USAGE_PART_WORD] = UsagePart.All;
  }
  words[EventWord.Sequence] = events[at + EventWord.Sequence]!;
  words[EventWord.Triggers] = triggers;
}

/** Adds a 64-bit value, low word first, to another in place. */
function addPair(to: Uint32Array, at: number, from: Uint32Array, fromAt: number): void {
  const low = to[at]! + from[fromAt]!;
  to[at] = low >>> 0;
  to[at + 1] = to[at + 1]! + from[fromAt + 1]! + (low >= WORD ? 1 : 0);
}
