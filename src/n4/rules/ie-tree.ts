/** The IEs of a message or a shadow, as MessageReader leaves them: flat, in pre-order. */
export interface IeTree {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly ieType: Uint16Array;
  /** Where each value begins in `bytes`. */
  readonly valueAt: Uint32Array;
  readonly valueLength: Uint16Array;
  /** Behind the last descendant: the next sibling, or the end of the group. */
  readonly ieEnd: Uint16Array;
}

/** Octets of an IE's header. */
export const IE_HEADER_BYTES = 4;

/** First child of that type; group -1: the top level. -1: none. */
export function findIe(tree: IeTree, group: number, type: number): number {
  const end = group < 0 ? tree.count : tree.ieEnd[group]!;
  for (let ie = group + 1; ie < end; ie = tree.ieEnd[ie]!) {
    if (tree.ieType[ie] === type) return ie;
  }
  return -1;
}

/** The type of an IE as it came; the reader gives 0 to those that count as absent. */
export function wireType(tree: IeTree, ie: number): number {
  const at = tree.valueAt[ie]! - IE_HEADER_BYTES;
  return (tree.bytes[at]! << 8) | tree.bytes[at + 1]!;
}

/** The first child of that type of a group, also one without a value; -1: none. */
export function mention(tree: IeTree, group: number, type: number): number {
  const end = group < 0 ? tree.count : tree.ieEnd[group]!;
  for (let ie = group + 1; ie < end; ie = tree.ieEnd[ie]!) {
    if (tree.ieType[ie] === type) return ie;
    if (tree.valueLength[ie] === 0 && wireType(tree, ie) === type) return ie;
  }
  return -1;
}

/** The unsigned number in the first `octets` of a value, at most 4; -1: the value is shorter. */
export function numberAt(tree: IeTree, ie: number, octets: number): number {
  if (tree.valueLength[ie]! < octets) return -1;
  const { bytes } = tree;
  let at = tree.valueAt[ie]!;
  let value = 0;
  for (const end = at + octets; at < end; at++) value = value * 256 + bytes[at]!;
  return value;
}

/** Octets of a flag IE, the first in the lowest bits; octets that are absent are 0. */
export function flagsAt(tree: IeTree, ie: number, octets: number): number {
  const length = Math.min(octets, tree.valueLength[ie]!);
  const at = tree.valueAt[ie]!;
  let flags = 0;
  for (let octet = 0; octet < length; octet++) flags |= tree.bytes[at + octet]! << (octet * 8);
  return flags;
}
