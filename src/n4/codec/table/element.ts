/** The rows of the tables: one information element each, a value or a group. Pure data. */
import type { Layout } from './layout.js';

/**
 * What Sluice does with an element: acts by it or sends it; passes over it; or refuses the
 * request that has it, with the cause `refusal`.
 */
export type Handling = 'supported' | 'ignored' | 'refused';

/**
 * Mandatory, conditional or optional, TS 29.244 clause 5.1. `A`: conditional in the
 * document, and the condition always holds with Sluice; it counts as mandatory.
 */
export type Presence = 'M' | 'A' | 'C' | 'O';

export interface Member {
  readonly type: number;
  readonly presence: Presence;
  /** may stand there several times */
  readonly many: boolean;
}

export interface Element {
  readonly type: number;
  readonly name: string;
  readonly handling: Handling;
  readonly refusal: number;
  /** of a value; empty: octets that nobody looks into */
  readonly layout: Layout;
  /** of a group */
  readonly members?: readonly Member[];
}

/** Cause "Service not supported", what a refused element is answered with. */
const NOT_SUPPORTED = 76;

export function supported(type: number, name: string, ...layout: Layout): Element {
  return { type, name, handling: 'supported', refusal: 0, layout };
}
export function ignored(type: number, name: string, ...layout: Layout): Element {
  return { type, name, handling: 'ignored', refusal: 0, layout };
}
export function refused(
  type: number,
  name: string,
  layout: Layout = [],
  refusal = NOT_SUPPORTED,
): Element {
  return { type, name, handling: 'refused', refusal, layout };
}

export function group(type: number, name: string, members: readonly Member[]): Element {
  return { type, name, handling: 'supported', refusal: 0, layout: [], members };
}
export function ignoredGroup(type: number, name: string, members: readonly Member[]): Element {
  return { type, name, handling: 'ignored', refusal: 0, layout: [], members };
}
export function refusedGroup(type: number, name: string, members: readonly Member[]): Element {
  return { type, name, handling: 'refused', refusal: NOT_SUPPORTED, layout: [], members };
}

const rows =
  (presence: Presence, many: boolean) =>
  (...types: number[]): Member[] =>
    types.map((type) => ({ type, presence, many }));

export const mandatory = rows('M', false);
export const mandatoryList = rows('M', true);
export const always = rows('A', false);
export const conditional = rows('C', false);
export const conditionalList = rows('C', true);
export const optional = rows('O', false);
export const optionalList = rows('O', true);
