/** What an update says of the usage that it asks for, written into its events. Pure. */
import { EventWord } from '../../datapath/datapath.js';
import { QUERY_REFERENCE_WORD, UsageTrigger } from '../../datapath/usage-event.js';
import { urrCount, urrsAt } from '../../model/record.js';
import { URR_ID, URR_WORDS } from '../../model/record-layout.js';
import type { RecordAt } from '../allocators/ue-addresses.js';
import type { UpdateOptions } from '../engine.js';

const NO_URRS: readonly number[] = [];

/** IDs of the URRs that the packet path is to report at once. */
export function urrsAsked({ queryUrrIds = NO_URRS, endedUrrIds }: UpdateOptions) {
  return endedUrrIds === undefined ? queryUrrIds : [...queryUrrIds, ...endedUrrIds];
}

/** Indices of those URRs in a version of the session; or the position of one that is not there. */
export function urrIndices(
  { words, start }: RecordAt,
  ids: readonly number[],
): readonly number[] | number {
  if (ids.length === 0) return NO_URRS;
  const count = urrCount(words, start);
  const at = urrsAt(words, start);
  const indices: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    let urr = 0;
    while (urr < count && words[at + urr * URR_WORDS + URR_ID] !== ids[i]) urr++;
    if (urr === count) return i;
    if (!indices.includes(urr)) indices.push(urr);
  }
  return indices;
}

/** Whether events of the update need {@link markAsked}. */
export function marksUsage({ endedUrrIds, queryReference, inactive }: UpdateOptions): boolean {
  return endedUrrIds !== undefined || queryReference !== undefined || inactive === true;
}

/** The usage event at words[at…] belongs to the update. */
export function markAsked(words: Uint32Array, at: number, options: UpdateOptions): void {
  const { queryUrrIds = NO_URRS, endedUrrIds = NO_URRS, queryReference, inactive } = options;
  const id = words[at + EventWord.Id]!;
  const triggers = words[at + EventWord.Triggers]!;
  // To the packet path the URR goes on, and was asked like any other.
  const isEnded = endedUrrIds.includes(id);
  const why = isEnded ? UsageTrigger.Termination : UsageTrigger.Inactivity;
  if ((triggers & UsageTrigger.Immediate) !== 0 && (isEnded || inactive === true)) {
    words[at + EventWord.Triggers] = (triggers & ~UsageTrigger.Immediate) | why;
  }
  if (queryReference === undefined) return;
  // URRs that are linked to those of the query report because of it.
  if (!queryUrrIds.includes(id) && (triggers & UsageTrigger.Linked) === 0) return;
  words[at + QUERY_REFERENCE_WORD] = queryReference;
  words[at + QUERY_REFERENCE_WORD + 1] = 1;
}
