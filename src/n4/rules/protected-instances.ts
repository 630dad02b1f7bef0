/**
 * Protections of sessions that SMFs make: PFCP has no word for them, so the configuration says which
 * network instances are protected. Pure; any thread.
 */
import { pdrsAt, type RecordBuffer, refText } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';

/** Number of the protection of a network instance, by its name. */
export type ProtectedInstances = ReadonlyMap<string, number>;

/** FARs into a protected instance seal; PDIs of one take what came sealed alone. */
export function protectInstances(record: RecordBuffer, instances: ProtectedInstances): void {
  if (instances.size === 0) return;
  const { words } = record;
  const numberOf = (ref: number): number => instances.get(refText(words, 0, ref)) ?? 0;
  for (let index = 0; index < record.pdrs; index++) {
    const at = pdrsAt(0) + index * layout.PDR_WORDS;
    const number = numberOf(words[at + layout.PDR_INSTANCE]!);
    words[at + layout.PDR_FRAMED_ROUTES]! |= number << 16;
  }
  const protect = (at: number): void => {
    const action = words[at + layout.FAR_ACTION]!;
    const leads = (action & 255) === layout.ACTION_FORWARD;
    if (!leads && ((action >>> 16) & layout.FAR_OUTER_HEADER) === 0) return;
    words[at + layout.FAR_PROTECTION] = numberOf(words[at + layout.FAR_INSTANCE]!);
  };
  for (let index = 0; index < record.fars; index++) {
    const at = record.farsAt + index * layout.FAR_WORDS;
    protect(at);
    const copies = words[at + layout.FAR_UDP_PORT]! >>> 24;
    const first = words[at + layout.FAR_DUPLICATES]!;
    for (let copy = 0; copy < copies; copy++) protect(first + copy * layout.FAR_WORDS);
  }
}
