/**
 * URRs that a modification brings to an end while they stay: none of the session's PDRs refers
 * to them any more. Source: TS 29.244 clause 7.5.5.1. Owner: the control thread.
 */
import { byteAt, pdrCount, pdrsAt, urrCount, urrsAt } from '../../../model/record.js';
import * as layout from '../../../model/record-layout.js';
import type { RecordPlace } from '../../../session/engine.js';
import * as Ie from '../../codec/ie.js';
import { type IeTree, mention } from '../../rules/ie-tree.js';
import { INACTIVITY_URR_ID } from '../../rules/urr-compile.js';

const URRS = 256;
/** By the URR's index: whether a PDR refers to it. */
const usedBefore = new Uint8Array(URRS);
const usedAfter = new Uint8Array(URRS);

/** Whether the request may leave a URR without PDRs. */
export function mayEndUrrs(request: IeTree): boolean {
  for (let ie = 0; ie < request.count; ie = request.ieEnd[ie]!) {
    const type = request.ieType[ie];
    // PDRs go with their traffic endpoint.
    if (type === Ie.RemovePdr || type === Ie.RemoveTrafficEndpoint) return true;
    if (type === Ie.UpdatePdr && mention(request, ie, Ie.UrrId) >= 0) return true;
  }
  return false;
}

/** Adds to `ended` the IDs of URRs that PDRs refer to in `before`, and none does in `after`. */
export function addEndedUrrs(ended: number[], before: RecordPlace, after: RecordPlace): void {
  markUsed(usedBefore, before);
  markUsed(usedAfter, after);
  const first = urrsAt(before.words, before.start);
  for (let urr = 0; urr < urrCount(before.words, before.start); urr++) {
    if (usedBefore[urr] === 0) continue;
    const id = before.words[first + urr * layout.URR_WORDS]!;
    // One that is removed tells its end by itself.
    const now = indexOfUrr(after, id);
    if (now < 0 || usedAfter[now] === 1 || id === INACTIVITY_URR_ID) continue;
    if (!ended.includes(id)) ended.push(id);
  }
}

function markUsed(used: Uint8Array, { words, start }: RecordPlace): void {
  used.fill(0);
  let at = pdrsAt(start);
  const end = at + pdrCount(words, start) * layout.PDR_WORDS;
  for (; at < end; at += layout.PDR_WORDS) {
    const list = start + (words[at + layout.PDR_LISTS]! & 0xffff);
    const qers = words[at + layout.PDR_F_TEID]! >>> 24;
    const urrs = words[at + layout.PDR_FILTERS]! >>> 24;
    for (let entry = qers; entry < qers + urrs; entry++) used[byteAt(words, list, entry)] = 1;
  }
}

function indexOfUrr({ words, start }: RecordPlace, id: number): number {
  const first = urrsAt(words, start);
  for (let urr = urrCount(words, start) - 1; urr >= 0; urr--) {
    if (words[first + urr * layout.URR_WORDS] === id) return urr;
  }
  return -1;
}
