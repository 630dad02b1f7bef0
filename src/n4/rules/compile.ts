/**
 * A session's shadow into its record. The shadow is the body of the Session Establishment
 * Request that would make the session as it is; an establishment is its own, a modification
 * makes a new one out of the old (merge.ts). So both take this one way, and a refused request
 * has changed nothing but scratch.
 *
 * One file a kind of rule: pdr/, far-, qer-, urr-compile.ts.
 * Pure; any thread, one compiler each. Start at {@link SessionCompiler.compile}.
 */
import { Refusal } from '../../base/errors.js';
import { linkRecord } from '../../model/link.js';
import { pdrsAt, RecordBuffer, urrCount, urrsAt } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import { MODEL_LIMITS, type ModelLimits } from '../../model/session-decode.js';
import { RecordValidator } from '../../model/validate.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import type { Applications } from '../peer.js';
import { compileFar } from './far-compile.js';
import { findIe, flagsAt, IE_HEADER_BYTES, type IeTree } from './ie-tree.js';
import { keepName } from './network-instance.js';
import { countFilters, resolveReferences } from './pdr/filter-compile.js';
import { F_TEID_CH } from './pdr/pdi-compile.js';
import { compilePdr } from './pdr/pdr-compile.js';
import { type ProtectedInstances, protectInstances } from './protected-instances.js';
import { compileBar, compileQer } from './qer-compile.js';
import { RuleContext, type RuleProfile } from './rule-context.js';
import { RuleRefusal } from './rule-refusal.js';
import { carryGrants, compileInactivity, compileUrr } from './urr-compile.js';

const TABLES = 5;
const RULES = 256;
/** Create … IEs in the order of a record's tables, and the type that a refusal names. */
const CREATE = [Ie.CreatePdr, Ie.CreateFar, Ie.CreateQer, Ie.CreateUrr, Ie.CreateBar];

/** What a modification carries over from the version before. */
export interface Predecessor {
  readonly words: Uint32Array;
  readonly start: number;
  readonly shadow: IeTree;
  /** IDs of URRs that get a new quota, `renewedCount` of them. */
  readonly renewed: Uint32Array;
  readonly renewedCount: number;
}

/** The tables of an IE type: 1 + table by type, 0: no rule. */
const TABLE_OF = new Uint8Array(512);
CREATE.forEach((type, table) => {
  TABLE_OF[type] = table + 1;
});
/** What a shadow keeps at its top level, beside rules. */
const KEPT = new Uint8Array(512);
for (const type of [
  ...CREATE,
  Ie.FSeid,
  Ie.CreateTrafficEndpoint,
  Ie.PdnType,
  Ie.UserPlaneInactivityTimer,
  Ie.ApnDnn,
  Ie.FqCsid,
]) {
  KEPT[type] = 1;
}

/** Whether the IE is part of what a session is, at the top level of an establishment. */
export function isKept(type: number): boolean {
  return type < KEPT.length && KEPT[type] === 1;
}

export class SessionCompiler {
  readonly record = new RecordBuffer();
  readonly refusal = new RuleRefusal();
  private readonly context = new RuleContext(this.record, this.refusal);
  private readonly modelRefusal = new Refusal();
  private readonly validator = new RecordValidator(this.modelRefusal);
  private readonly counts = new Uint16Array(TABLES);
  /** Place of each rule in the tree, table after table. */
  private readonly places = new Uint16Array(TABLES * RULES);
  private inactivitySeconds = 0;
  private pdnType = 0;
  private dnn = -1;
  private hasEndpoints = false;

  constructor(
    private readonly limits: ModelLimits = MODEL_LIMITS,
    private readonly instances: ProtectedInstances = new Map(),
  ) {}

  /**
   * Into `record`; false: see `refusal`.
   * @param old   the version that this one replaces, whose name it may keep; null: none.
   * @param name  name[nameStart…nameEnd) is the session's.
   */
  compile(
    tree: IeTree,
    profile: RuleProfile,
    applications: Applications | null,
    old: Predecessor | null,
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
  ): boolean {
    const { context, record, refusal } = this;
    refusal.clear();
    this.modelRefusal.clear();
    context.begin(tree, old === null ? null : old.shadow, profile, applications);
    if (!this.scan(tree)) return false;
    record.setText(layout.HEADER_NAME, name, nameStart, nameEnd - nameStart);
    if (this.dnn >= 0) record.words[layout.HEADER_DNN] = keepName(context, this.dnn);
    record.words[layout.HEADER_COUNTS1]! |= this.pdnType;
    this.place();
    if (!refusal.refused) resolveReferences(context);
    if (!refusal.refused && this.hasEndpoints) this.checkEndpoints(tree);
    if (refusal.refused) return false;
    if (context.watchesInactivity) {
      compileInactivity(context, record.urrs - 1, this.inactivitySeconds);
    }
    if (old !== null) {
      const { words, start, renewed, renewedCount } = old;
      const urrs = urrCount(words, start);
      carryGrants(context, words, urrsAt(words, start), urrs, renewed, renewedCount);
    }
    this.keepShadow(tree);
    protectInstances(record, this.instances);
    if (!linkRecord(record, this.modelRefusal)) return this.takeRefusal();
    return this.validator.validate(record.words, 0, old !== null) || this.takeRefusal();
  }

  private scan(tree: IeTree): boolean {
    const { context, counts, limits } = this;
    let filters = 0;
    counts.fill(0);
    this.inactivitySeconds = 0;
    this.pdnType = 0;
    this.dnn = -1;
    this.hasEndpoints = false;
    context.ruleTable = -1;
    context.ruleId = 0;
    context.endpoints.fill(0);
    for (let ie = 0; ie < tree.count; ie = tree.ieEnd[ie]!) {
      const type = tree.ieType[ie]!;
      const table = type < TABLE_OF.length ? TABLE_OF[type]! - 1 : -1;
      if (table >= 0) {
        const index = counts[table]!;
        if (index >= limits.rulesPerSession) return this.tooMany(type);
        this.places[table * RULES + index] = ie;
        counts[table] = index + 1;
        if (table === layout.TABLE_PDR) filters += this.countFilters(ie);
      } else if (!this.scanOther(type, ie)) return false;
    }
    if (this.refusal.refused) return false;
    context.watchesInactivity = this.inactivitySeconds > 0;
    const urrs = counts[layout.TABLE_URR]! + (context.watchesInactivity ? 1 : 0);
    this.record.begin(counts[0]!, counts[1]!, counts[2]!, urrs, counts[4]!, filters);
    return urrs < RULES && !this.record.overflowed ? true : this.tooMany(0);
  }

  /** What is no rule, at the top level. */
  private scanOther(type: number, ie: number): boolean {
    const { context } = this;
    switch (type) {
      case Ie.CreateTrafficEndpoint:
        return this.noteEndpoint(ie);
      case Ie.PdnType:
        this.pdnType = context.number(ie, 1) & 7;
        break;
      case Ie.ApnDnn:
        this.dnn = ie;
        break;
      case Ie.UserPlaneInactivityTimer:
        this.inactivitySeconds = context.number(ie, 4);
        break;
      case Ie.CreateMar:
      case Ie.CreateSrr:
      case Ie.CreateBridgeInfoForTsc:
      case Ie.ProvideAtsssControlInformation:
      case Ie.ProvideRdsConfigurationInformation:
        return context.refuse(Cause.ServiceNotSupported, type, 'is not supported');
    }
    return true;
  }

  private noteEndpoint(ie: number): boolean {
    const { context } = this;
    const idAt = findIe(context.tree, ie, Ie.TrafficEndpointId);
    if (idAt < 0) return context.missing(Ie.TrafficEndpointId);
    const id = context.number(idAt, 1);
    if (context.endpoints[id] !== 0) {
      return context.refuse(Cause.RuleFailure, Ie.TrafficEndpointId, `${id} comes twice`);
    }
    context.endpoints[id] = ie + 1;
    this.hasEndpoints = true;
    return true;
  }

  /** An F-TEID is chosen for PDRs: an endpoint that none names can't be given one. */
  private checkEndpoints(tree: IeTree): void {
    const { words, pdrs } = this.record;
    for (let id = 0; id < this.context.endpoints.length; id++) {
      const group = this.context.endpoints[id]! - 1;
      const fTeid = group < 0 ? -1 : findIe(tree, group, Ie.FTeid);
      if (fTeid < 0 || (flagsAt(tree, fTeid, 1) & F_TEID_CH) === 0) continue;
      let at = layout.HEADER_WORDS + layout.PDR_F_TEID;
      const end = at + pdrs * layout.PDR_WORDS;
      const wanted = layout.F_TEID_ENDPOINT | (id << 8);
      while (at < end && (words[at]! & (layout.F_TEID_ENDPOINT | 0xff00)) !== wanted) {
        at += layout.PDR_WORDS;
      }
      if (at < end) continue;
      const message = `traffic endpoint ${id} is to have an F-TEID, and no PDR names it`;
      this.refusal.set(Cause.RuleFailure, Ie.TrafficEndpointId, message);
    }
  }

  private countFilters(pdr: number): number {
    const { context, limits } = this;
    const pdi = findIe(context.tree, pdr, Ie.Pdi);
    const filters = pdi < 0 ? 0 : countFilters(context, pdi);
    if (filters > limits.filtersPerPdr) this.tooMany(Ie.SdfFilter);
    return filters;
  }

  private tooMany(type: number): false {
    return this.refusal.set(Cause.NoResources, type, 'there are too many of these');
  }

  private place(): void {
    const { context, refusal, counts, places } = this;
    for (let table = 0; table < TABLES; table++) {
      context.ruleTable = table;
      for (let index = 0; index < counts[table]! && !refusal.refused; index++) {
        context.ruleId = 0;
        const ie = places[table * RULES + index]!;
        if (table === layout.TABLE_PDR) compilePdr(context, index, ie);
        else if (table === layout.TABLE_FAR) compileFar(context, index, ie);
        else if (table === layout.TABLE_QER) compileQer(context, index, ie);
        else if (table === layout.TABLE_URR) compileUrr(context, index, ie);
        else compileBar(context, index, ie);
      }
    }
  }

  /** IEs that lie side by side are copied together. */
  private keepShadow(tree: IeTree): void {
    const { record } = this;
    let length = 0;
    for (let ie = 0; ie < tree.count; ie = tree.ieEnd[ie]!) {
      if (keeps(tree, ie)) length += IE_HEADER_BYTES + tree.valueLength[ie]!;
    }
    const at = length > 0xffff ? 0 : record.allocate((length + 3) >>> 2);
    if (at === 0) {
      record.overflowed = true;
      return;
    }
    let to = at * 4;
    let from = 0;
    let end = 0;
    for (let ie = 0; ie < tree.count; ie = tree.ieEnd[ie]!) {
      if (!keeps(tree, ie)) continue;
      const start = tree.valueAt[ie]! - IE_HEADER_BYTES;
      if (start !== end) {
        to = copy(tree.bytes, from, end, record.bytes, to);
        from = start;
      }
      end = tree.valueAt[ie]! + tree.valueLength[ie]!;
    }
    copy(tree.bytes, from, end, record.bytes, to);
    record.words[layout.HEADER_SHADOW] = (at << 16) | length;
  }

  private takeRefusal(): false {
    const { code, field, message } = this.modelRefusal;
    const cause = this.modelRefusal.toError().pfcpCause;
    return this.refusal.take(code, field, message, cause, (table, index) =>
      ruleIdAt(this.record, table, index),
    );
  }
}

/** Of what a session has once, the first counts. */
function keeps(tree: IeTree, ie: number): boolean {
  const type = tree.ieType[ie]!;
  if (!isKept(type)) return false;
  if (TABLE_OF[type] !== 0 || type === Ie.CreateTrafficEndpoint || type === Ie.FqCsid) return true;
  return findIe(tree, -1, type) === ie;
}

function copy(bytes: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  if (start !== end) to.set(bytes.subarray(start, end), at);
  return at + end - start;
}

/** ID of a rule of the record that is being made. */
export function ruleIdAt(record: RecordBuffer, table: number, index: number): number {
  const { words } = record;
  switch (table) {
    case layout.TABLE_PDR:
      return words[pdrsAt(0) + index * layout.PDR_WORDS]! & 0xffff;
    case layout.TABLE_FAR:
      return words[record.farsAt + index * layout.FAR_WORDS]!;
    case layout.TABLE_QER:
      return words[record.qersAt + index * layout.QER_WORDS]!;
    case layout.TABLE_URR:
      return words[record.urrsAt + index * layout.URR_WORDS]!;
    default:
      return words[record.barsAt + index * layout.BAR_WORDS]!;
  }
}
