/**
 * The kinds of rules that a Session Modification Request changes, and what each IE of it, and each
 * child of a rule, has to do with them. Source: TS 29.244 clause 7.5.4.
 */
import * as Ie from '../codec/ie.js';

export interface Kind {
  readonly create: number;
  readonly update: number;
  readonly remove: number;
  readonly id: number;
  readonly idOctets: number;
  /** Of Failed Rule ID; -1: none. */
  readonly table: number;
}
export const KINDS: readonly Kind[] = [
  kind(Ie.CreatePdr, Ie.UpdatePdr, Ie.RemovePdr, Ie.PdrId, 2, 0),
  kind(Ie.CreateFar, Ie.UpdateFar, Ie.RemoveFar, Ie.FarId, 4, 1),
  kind(Ie.CreateQer, Ie.UpdateQer, Ie.RemoveQer, Ie.QerId, 4, 2),
  kind(Ie.CreateUrr, Ie.UpdateUrr, Ie.RemoveUrr, Ie.UrrId, 4, 3),
  kind(Ie.CreateBar, Ie.UpdateBarInModification, Ie.RemoveBar, Ie.BarId, 1, 4),
  kind(
    Ie.CreateTrafficEndpoint,
    Ie.UpdateTrafficEndpoint,
    Ie.RemoveTrafficEndpoint,
    Ie.TrafficEndpointId,
    1,
    -1,
  ),
];
function kind(
  create: number,
  update: number,
  remove: number,
  id: number,
  idOctets: number,
  table: number,
): Kind {
  return { create, update, remove, id, idOctets, table };
}

/** Places in KINDS. */
export const PDR = 0;
export const QER = 2;
const URR = 3;
const BAR = 4;
export const ENDPOINT = 5;

export const NONE = 0;
export const CREATE = 1;
export const UPDATE = 2;
export const REMOVE = 3;
export const TYPES = 512;
/** By IE type: what it does, and the kind of its rule. */
export const verbOf = new Uint8Array(TYPES);
export const kindOf = new Uint8Array(TYPES);
KINDS.forEach((one, index) => {
  for (const [type, verb] of [
    [one.create, CREATE],
    [one.update, UPDATE],
    [one.remove, REMOVE],
  ] as const) {
    verbOf[type] = verb;
    kindOf[type] = index;
  }
});
// An answer to a session report updates a BAR by an IE of its own.
verbOf[Ie.UpdateBarInReport] = UPDATE;
kindOf[Ie.UpdateBarInReport] = BAR;

/** By IE type: the kind of rule that a child of another rule names, if that can do without it; or 0. */
export const namedKindOf = new Uint8Array(TYPES);
namedKindOf[Ie.QerId] = QER;
namedKindOf[Ie.UrrId] = namedKindOf[Ie.LinkedUrrId] = URR;
namedKindOf[Ie.BarId] = BAR;
