/**
 * Names of network instances and DNNs. SMFs write them as text or as labels of the DNS: labels
 * are what fills the IE exactly with lengths and labels, all else is text.
 * Source: TS 29.244 clauses 8.2.4 and 8.2.103, TS 23.003 clause 9.1. Pure; any thread.
 */
import type { RuleContext } from './rule-context.js';

const LABEL_MAX = 63;
const NAME_MAX = 255;
const DOT = 0x2e;
const name = new Uint8Array(NAME_MAX);

/** Keeps the name in the record; its Ref, 0: an empty one. */
export function keepName(context: RuleContext, ie: number): number {
  const { tree, record } = context;
  const start = tree.valueAt[ie]!;
  const length = tree.valueLength[ie]!;
  // What is longer is refused by the validator, which allows less.
  const kept = Math.min(length, NAME_MAX);
  if (kept === length && isLabels(tree.bytes, start, length)) {
    for (let at = 1; at < length; at++) name[at - 1] = tree.bytes[start + at]!;
    let label = tree.bytes[start]!;
    while (label < length - 1) {
      const next = name[label]!;
      name[label] = DOT;
      label += next + 1;
    }
    return record.appendText(name, 0, length - 1);
  }
  return record.appendText(tree.bytes, start, kept);
}

function isLabels(bytes: Uint8Array, start: number, length: number): boolean {
  let at = 0;
  while (at < length) {
    const label = bytes[start + at]!;
    if (label === 0 || label > LABEL_MAX) return false;
    at += label + 1;
  }
  return at === length && length > 1;
}
