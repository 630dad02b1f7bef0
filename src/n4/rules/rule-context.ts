/**
 * What the compilers of single rules share: the tree they read, the record they fill, and how
 * they refuse. One for each compiler, used again for every session. Pure; any thread.
 */
import { IpTextReader } from '../../base/ip-text.js';
import type { RecordBuffer } from '../../model/record.js';
import { FlowParser } from '../../model/sdf.js';
import * as Cause from '../codec/cause.js';
import type { Applications, PeerProfile } from '../peer.js';
import { type IeTree, wireType } from './ie-tree.js';
import { RoutePlacer } from './pdr/route-compile.js';
import type { RuleRefusal } from './rule-refusal.js';

const NO_TREE: IeTree = {
  bytes: new Uint8Array(0),
  count: 0,
  ieType: new Uint16Array(0),
  valueAt: new Uint32Array(0),
  valueLength: new Uint16Array(0),
  ieEnd: new Uint16Array(0),
};

/** How a peer wants its sessions to be read. */
export type RuleProfile = Pick<PeerProfile, 'sharedFTeid'>;

/** An SDF filter by ID alone: what it stands for may come in a later PDR. */
export interface FilterReference {
  readonly pdr: number;
  readonly filter: number;
  readonly id: number;
}

export class RuleContext {
  tree: IeTree = NO_TREE;
  profile: RuleProfile = { sharedFTeid: false };
  applications: Applications | null = null;
  /** The shadow of the session before the modification; null: an establishment. */
  before: IeTree | null = null;
  readonly ip = new IpTextReader();
  readonly flow = new FlowParser();
  readonly routes = new RoutePlacer();
  /** ID of the rule that is being compiled; 0: not read yet. */
  ruleId = 0;
  /** TABLE_… of that rule. */
  ruleTable = 0;
  /** Filters of the session that were placed. */
  filters = 0;
  /** Every PDR has the hidden URR of the session's inactivity timer. */
  watchesInactivity = false;
  /** Traffic endpoints by ID: 1 + place of their group in the tree. */
  readonly endpoints = new Uint16Array(256);
  /** Filters that have an ID, and those that are an ID; mostly none. */
  readonly definitions: FilterReference[] = [];
  readonly references: FilterReference[] = [];

  constructor(
    readonly record: RecordBuffer,
    readonly refusal: RuleRefusal,
  ) {}

  begin(
    tree: IeTree,
    before: IeTree | null,
    profile: RuleProfile,
    applications: Applications | null,
  ): void {
    this.tree = tree;
    this.before = before;
    this.profile = profile;
    this.applications = applications;
    this.filters = 0;
    if (this.definitions.length > 0) this.definitions.length = 0;
    if (this.references.length > 0) this.references.length = 0;
  }

  /** An IE makes the request as a whole wrong. */
  refuse(cause: number, ie: number, message: string): false {
    return this.refusal.set(cause, ie, message, this.ruleTable, this.ruleId);
  }
  /** The rule can't be as it is asked for. */
  fail(ie: number, message: string): false {
    return this.refuse(Cause.RuleFailure, ie, message);
  }
  missing(ie: number): false {
    return this.refuse(Cause.MandatoryIeMissing, ie, 'a mandatory IE is missing');
  }

  /** An IE that the reader counts as absent, since it is shorter than one of its type can be. */
  tooShort(ie: number): false {
    return this.refuse(Cause.InvalidLength, wireType(this.tree, ie), 'an IE is too short');
  }

  /** The number in the first `octets` (1 to 4) of a value; 0 and a refusal when it is shorter. */
  number(ie: number, octets: number): number {
    const { tree } = this;
    if (tree.valueLength[ie]! < octets) {
      this.refuse(Cause.InvalidLength, tree.ieType[ie]!, 'an IE is too short');
      return 0;
    }
    return this.numberAt(tree.valueAt[ie]!, octets);
  }

  /** The number at a place whose octets are known to be there. */
  numberAt(start: number, octets: number): number {
    const { bytes } = this.tree;
    let value = 0;
    for (let at = start; at < start + octets; at++) value = value * 256 + bytes[at]!;
    return value;
  }

  /** True when the value has that many octets from `start` on. */
  hasOctets(ie: number, start: number, octets: number): boolean {
    const { tree } = this;
    if (start + octets <= tree.valueAt[ie]! + tree.valueLength[ie]!) return true;
    return this.refuse(Cause.InvalidLength, tree.ieType[ie]!, 'an IE is too short for its flags');
  }
}
