/**
 * Which application started or stopped, for reports of that: the packet path counts by URR, so
 * it is known only where all PDRs of the URR are those of one application.
 * Source: TS 29.244 clause 7.5.8.3. Owner: the control thread.
 */
import { EventWord } from '../../../datapath/datapath.js';
import { UsageTrigger } from '../../../datapath/usage-event.js';
import type { RecordPlace } from '../../../session/engine.js';
import * as Ie from '../../codec/ie.js';
import { findIe, type IeTree, numberAt } from '../../rules/ie-tree.js';
import { ShadowReader } from '../shadow-reader.js';

/** A longer ID is left out: a report has to fit one message. */
const ID_BYTES_MAX = 1024;
const shadow = new ShadowReader();

/** The Application ID where it lies, good until the next call; null: it is not to be told. */
export function detectedApplication(
  event: Uint32Array,
  place: RecordPlace | null,
): Uint8Array | null {
  const detects = UsageTrigger.Start | UsageTrigger.Stop;
  if ((event[EventWord.Triggers]! & detects) === 0) return null;
  if (place === null || !shadow.read(place)) return null;
  const tree = shadow.reader;
  let found = -1;
  for (let ie = 0; ie < tree.count; ie = tree.ieEnd[ie]!) {
    if (tree.ieType[ie] !== Ie.CreatePdr || !names(tree, ie, event[EventWord.Id]!)) continue;
    const pdi = findIe(tree, ie, Ie.Pdi);
    const application = pdi < 0 ? -1 : findIe(tree, pdi, Ie.ApplicationId);
    if (application < 0 || tree.valueLength[application]! > ID_BYTES_MAX) return null;
    if (found >= 0 && Buffer.compare(octetsOf(tree, found), octetsOf(tree, application)) !== 0) {
      return null;
    }
    found = application;
  }
  return found < 0 ? null : octetsOf(tree, found);
}

/** Whether the PDR refers to the URR. */
function names(tree: IeTree, pdr: number, urr: number): boolean {
  for (let ie = pdr + 1, end = tree.ieEnd[pdr]!; ie < end; ie = tree.ieEnd[ie]!) {
    if (tree.ieType[ie] === Ie.UrrId && numberAt(tree, ie, 4) === urr) return true;
  }
  return false;
}

function octetsOf(tree: IeTree, ie: number): Uint8Array {
  const at = tree.valueAt[ie]!;
  return tree.bytes.subarray(at, at + tree.valueLength[ie]!);
}
