/**
 * A Session Modification Request merged into the session's shadow, IE by IE: removals, then
 * updates, then creations, so that references may point forward. What comes out is the shadow
 * of the session as it will be, to be compiled like an establishment; a refused request leaves
 * nothing behind. An update replaces the children that it has, all of a type at once; those of
 * forwarding and duplicating parameters one level deeper. A child without a value takes away what
 * was there of its type. What named a rule that is removed names it no longer; only FARs can't go
 * before their PDRs, and PDRs go with their traffic endpoint.
 *
 * Source: TS 29.244 clauses 5.6.3, 6.3.3.3 and 7.5.4. Bounds: the sizes of both messages, CHANGES_MAX. Pure;
 * any thread, one merger each. Start at {@link ShadowMerger.merge}.
 */
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import { isKept } from './compile.js';
import { findIe, IE_HEADER_BYTES, type IeTree, mention, numberAt } from './ie-tree.js';
import {
  CREATE,
  ENDPOINT,
  KINDS,
  type Kind,
  kindOf,
  NONE,
  namedKindOf,
  PDR,
  QER,
  REMOVE,
  TYPES,
  UPDATE,
  verbOf,
} from './rule-kinds.js';
import type { RuleRefusal } from './rule-refusal.js';

/** A shadow fits a Ref of a record. */
const SHADOW_BYTES_MAX = 0xffff;
/** Rules that one request may create, update and remove. */
export const CHANGES_MAX = 2048;
/** Updates of one rule in one request. */
const UPDATES_MAX = 16;

const NO_IDS: readonly number[] = [];
/** Of Measurement Information: the measurement is paused. */
const INAM = 2;

/** Groups whose children are merged in their turn, by the type of the update. */
function innerOf(type: number): number {
  if (type === Ie.UpdateForwardingParameters) return Ie.ForwardingParameters;
  return type === Ie.UpdateDuplicatingParameters ? Ie.DuplicatingParameters : 0;
}

export class ShadowMerger {
  /** The new shadow: bytes[0…length). */
  readonly bytes = new Uint8Array(SHADOW_BYTES_MAX + IE_HEADER_BYTES);
  length = 0;
  /** URRs that the request gives a new quota. */
  readonly renewed = new Uint32Array(CHANGES_MAX);
  renewedCount = 0;
  /** URRs that the request removes and makes anew under their old ID. */
  recreated: readonly number[] = NO_IDS;

  private full = false;
  private shadow!: IeTree;
  private request!: IeTree;
  /** Changes of the request: place, kind, ID, and whether they found their rule. */
  private readonly places = new Uint16Array(CHANGES_MAX);
  private readonly verbs = new Uint8Array(CHANGES_MAX);
  private readonly kinds = new Uint8Array(CHANGES_MAX);
  private readonly ids = new Uint32Array(CHANGES_MAX);
  private readonly found = new Uint8Array(CHANGES_MAX);
  private changes = 0;
  /** Some of them remove rules that others name. */
  private lets = false;
  /** Updates of the rule at hand, in their order: as changes, and where they are in the request. */
  private readonly updates: number[] = [];
  private readonly rulePlaces: number[] = [];
  /** Where the updates of its parameters are. */
  private readonly innerPlaces: number[] = [];

  constructor(private readonly refusal: RuleRefusal) {}

  /** False: see `refusal`, which the caller has cleared. */
  merge(shadow: IeTree, request: IeTree): boolean {
    this.shadow = shadow;
    this.request = request;
    this.length = 0;
    this.full = false;
    this.renewedCount = 0;
    this.recreated = NO_IDS;
    if (!this.noteChanges()) return false;
    for (let ie = 0; ie < shadow.count; ie = shadow.ieEnd[ie]!) this.carry(ie);
    for (let ie = 0; ie < request.count; ie = request.ieEnd[ie]!) this.addNew(ie);
    if (!this.checkFound()) return false;
    if (!this.full) return true;
    return this.refusal.set(Cause.NoResources, 0, 'the session has too many rules');
  }

  private noteChanges(): boolean {
    const { request, refusal } = this;
    this.changes = 0;
    this.lets = false;
    for (let ie = 0; ie < request.count; ie = request.ieEnd[ie]!) {
      const type = request.ieType[ie]!;
      const verb = type < TYPES ? verbOf[type]! : NONE;
      if (verb === NONE) continue;
      if (this.changes === CHANGES_MAX) {
        return refusal.set(Cause.NoResources, type, 'there are too many changes');
      }
      const rule = KINDS[kindOf[type]!]!;
      const id = idOf(request, ie, rule);
      if (id < 0) return refusal.set(Cause.MandatoryIeMissing, rule.id, 'the rule has no ID');
      const change = this.changes++;
      this.places[change] = ie;
      this.verbs[change] = verb;
      this.kinds[change] = kindOf[type]!;
      this.ids[change] = id;
      this.found[change] = 0;
      if (verb === REMOVE && kindOf[type]! >= QER) this.lets = true;
      if (type === Ie.UpdateUrr && hasQuota(request, ie)) this.renewed[this.renewedCount++] = id;
    }
    return true;
  }

  /** What the shadow has at its top level goes on, unless the request says otherwise. */
  private carry(ie: number): void {
    const { shadow, request } = this;
    const type = shadow.ieType[ie]!;
    if (type >= TYPES || verbOf[type] !== CREATE) {
      // Of the session itself: the request's own replaces it.
      const isEnded = type === Ie.UserPlaneInactivityTimer && mention(request, -1, type) >= 0;
      if (!isEnded && findIe(request, -1, type) < 0) this.copy(shadow, ie);
      return;
    }
    const rule = kindOf[type]!;
    const id = idOf(shadow, ie, KINDS[rule]!);
    let removed = false;
    this.updates.length = 0;
    for (let change = 0; change < this.changes; change++) {
      if (this.kinds[change] !== rule || this.ids[change] !== id) continue;
      if (this.verbs[change] === REMOVE) {
        this.found[change] = 1;
        removed = true;
      } else if (this.verbs[change] === UPDATE) {
        this.updates.push(change);
      }
    }
    if (removed) {
      if (KINDS[rule]!.create === Ie.CreateUrr && this.isCreated(rule, id)) this.recreate(id);
      return;
    }
    if (this.lets && rule === PDR && this.goesWithEndpoint(ie)) return;
    for (const change of this.updates) this.found[change] = 1;
    this.refuseCreated(rule, id);
    if (this.updates.length === 0 && !this.lets) this.copy(shadow, ie);
    else if (this.updates.length > UPDATES_MAX) this.full = true;
    else this.mergeRule(ie, KINDS[rule]!);
  }

  private isCreated(rule: number, id: number): boolean {
    for (let change = 0; change < this.changes; change++) {
      if (this.verbs[change] !== CREATE || this.kinds[change] !== rule) continue;
      if (this.ids[change] === id) return true;
    }
    return false;
  }

  /** The request removes a rule, and makes no other of its ID. */
  private isGone(rule: number, id: number): boolean {
    for (let change = 0; change < this.changes; change++) {
      if (this.verbs[change] !== REMOVE || this.kinds[change] !== rule) continue;
      if (this.ids[change] === id) return !this.isCreated(rule, id);
    }
    return false;
  }

  /** A child of a rule that is carried over names one that is gone. */
  private isLetGo(child: number, type: number): boolean {
    const rule = type < TYPES ? namedKindOf[type]! : 0;
    return rule !== 0 && this.isGone(rule, numberAt(this.shadow, child, KINDS[rule]!.idOctets));
  }

  /** The PDI of a PDR names a traffic endpoint that is gone, and the request gives it no other PDI. */
  private goesWithEndpoint(pdr: number): boolean {
    const { shadow, request } = this;
    if (this.updates.some((change) => findIe(request, this.places[change]!, Ie.Pdi) >= 0)) {
      return false;
    }
    const pdi = findIe(shadow, pdr, Ie.Pdi);
    const end = pdi < 0 ? 0 : shadow.ieEnd[pdi]!;
    for (let child = pdi + 1; child < end; child = shadow.ieEnd[child]!) {
      if (shadow.ieType[child] !== Ie.TrafficEndpointId) continue;
      if (this.isGone(ENDPOINT, numberAt(shadow, child, 1))) return true;
    }
    return false;
  }

  /** Another URR of the same ID: to the engine it is the same one, with new quotas. */
  private recreate(id: number): void {
    this.recreated = [...this.recreated, id];
    if (this.renewedCount < CHANGES_MAX) this.renewed[this.renewedCount++] = id;
  }

  /** The rule is there: the request may not create it. */
  private refuseCreated(rule: number, id: number): void {
    for (let change = 0; change < this.changes; change++) {
      if (this.verbs[change] !== CREATE || this.kinds[change] !== rule) continue;
      if (this.ids[change] === id) this.refuse(change, 'the session has this rule already');
    }
  }

  private refuse(change: number, message: string): false {
    const { id, table } = KINDS[this.kinds[change]!]!;
    return this.refusal.set(Cause.RuleFailure, id, message, table, this.ids[change]!);
  }

  /** What the request creates, and what it says of the session itself. */
  private addNew(ie: number): void {
    const { request } = this;
    const type = request.ieType[ie]!;
    if (isKept(type)) this.copy(request, ie);
  }

  private checkFound(): boolean {
    for (let change = 0; change < this.changes; change++) {
      if (this.verbs[change] === CREATE || this.found[change] === 1) continue;
      return this.refuse(change, 'the session has no such rule');
    }
    return !this.refusal.refused;
  }

  private mergeRule(ie: number, rule: Kind): void {
    const mark = this.open(rule.create);
    this.rulePlaces.length = 0;
    for (const change of this.updates) this.rulePlaces.push(this.places[change]!);
    this.mergeChildren(this.shadow, ie, this.rulePlaces);
    this.close(mark);
  }

  /**
   * The children of a group, replaced by those of updates: later ones come before earlier ones.
   * @param base  the group that is there already, -1: none.
   */
  private mergeChildren(shadow: IeTree, base: number, updates: readonly number[]): void {
    const { request } = this;
    const end = base < 0 ? 0 : shadow.ieEnd[base]!;
    for (let child = base + 1; child < end; child = shadow.ieEnd[child]!) {
      const type = shadow.ieType[child]!;
      const inner = updateOf(type);
      if (inner !== 0 && firstWith(request, updates, inner) >= 0) {
        this.mergeInner(shadow, child, type, inner, updates);
      } else if (
        firstWith(request, updates, type) < 0 &&
        !(this.lets && this.isLetGo(child, type))
      ) {
        this.copy(shadow, child);
        if (type === Ie.MeasurementInformation && updates.length > 0) this.resume(child);
      }
    }
    for (let position = 0; position < updates.length; position++) {
      const update = updates[position]!;
      for (let child = update + 1; child < request.ieEnd[update]!; child = request.ieEnd[child]!) {
        const type = request.ieType[child]!;
        // Said of this request alone.
        if (type === Ie.PfcpSmReqFlags) continue;
        const inner = innerOf(type);
        if (inner === 0 && request.valueLength[child] === 0) continue;
        if (inner !== 0) {
          const isFirst = position === firstWith(request, updates, type);
          if (isFirst && (base < 0 || findIe(shadow, base, inner) < 0)) {
            this.mergeInner(shadow, -1, inner, type, updates);
          }
        } else if (firstWith(request, updates, type, position + 1) < 0) {
          this.copy(request, child);
        }
      }
    }
  }

  /** Forwarding or duplicating parameters. @param base  -1: the rule had none. */
  private mergeInner(
    shadow: IeTree,
    base: number,
    type: number,
    updateType: number,
    updates: readonly number[],
  ): void {
    // Nobody means parameters within parameters; they have a list of their own.
    const inner = updates === this.innerPlaces ? [] : this.innerPlaces;
    inner.length = 0;
    for (const update of updates) {
      const place = findIe(this.request, update, updateType);
      if (place >= 0) inner.push(place);
    }
    const mark = this.open(type);
    this.mergeChildren(shadow, base, inner);
    this.close(mark);
  }

  /** A URR whose update doesn't say that its measurement is paused measures: clause 7.5.4.4. */
  private resume(child: number): void {
    const value = this.length - this.shadow.valueLength[child]!;
    if (!this.full && value < this.length) this.bytes[value]! &= ~INAM;
  }

  private copy(tree: IeTree, ie: number): void {
    const start = tree.valueAt[ie]! - IE_HEADER_BYTES;
    const size = IE_HEADER_BYTES + tree.valueLength[ie]!;
    if (this.length + size > SHADOW_BYTES_MAX) {
      this.full = true;
      return;
    }
    const { bytes, length } = this;
    for (let at = 0; at < size; at++) bytes[length + at] = tree.bytes[start + at]!;
    this.length = length + size;
  }

  private open(type: number): number {
    const mark = this.length;
    if (mark + IE_HEADER_BYTES > SHADOW_BYTES_MAX) {
      this.full = true;
      return mark;
    }
    this.bytes[mark] = type >>> 8;
    this.bytes[mark + 1] = type;
    this.length = mark + IE_HEADER_BYTES;
    return mark;
  }
  private close(mark: number): void {
    if (this.full) return;
    const length = this.length - mark - IE_HEADER_BYTES;
    this.bytes[mark + 2] = length >>> 8;
    this.bytes[mark + 3] = length;
  }
}

/** Position of the first of some groups, from one on, that speaks of a type; -1: none. */
function firstWith(tree: IeTree, groups: readonly number[], type: number, from = 0): number {
  for (let i = from; i < groups.length; i++) if (mention(tree, groups[i]!, type) >= 0) return i;
  return -1;
}

function idOf(tree: IeTree, ie: number, rule: Kind): number {
  const id = findIe(tree, ie, rule.id);
  return id < 0 ? -1 : numberAt(tree, id, rule.idOctets);
}

function updateOf(type: number): number {
  if (type === Ie.ForwardingParameters) return Ie.UpdateForwardingParameters;
  return type === Ie.DuplicatingParameters ? Ie.UpdateDuplicatingParameters : 0;
}

function hasQuota(request: IeTree, urr: number): boolean {
  return findIe(request, urr, Ie.VolumeQuota) >= 0 || findIe(request, urr, Ie.TimeQuota) >= 0;
}
