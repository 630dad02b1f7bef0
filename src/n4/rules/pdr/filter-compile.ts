/**
 * SDF filters, and the flow descriptions that PFDs give an application, into the filter table
 * of a record. Filters are kept as they are written; the packet path swaps source and
 * destination for PDRs from Access, so a filter that another PDR names by its ID is the same
 * filter the other way round. Source: TS 29.244 clauses 8.2.5, 5.2.1A.2A. Pure.
 */
import * as layout from '../../../model/record-layout.js';
import { FLOW_DESCRIPTION_MAX } from '../../../model/sdf.js';
import * as Cause from '../../codec/cause.js';
import * as Ie from '../../codec/ie.js';
import type { Application } from '../../peer.js';
import type { FilterReference, RuleContext } from '../rule-context.js';

const FD = 0x01;
const TTC = 0x02;
const SPI = 0x04;
const FL = 0x08;
const BID = 0x10;
/** Flags, then a spare octet. */
const HEAD_OCTETS = 2;

/** Of an address that no packet is delivered to, with a protocol that none has. */
const NOTHING = [Buffer.from('permit out 255 from 255.255.255.255 to 255.255.255.255')];

/** Filters that the PDI at `ie` will have. */
export function countFilters(context: RuleContext, ie: number): number {
  const { tree } = context;
  let count = 0;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    if (tree.ieType[i] === Ie.SdfFilter) count++;
    else if (tree.ieType[i] === Ie.ApplicationId) count += flowsAt(context, i).length;
  }
  return count;
}

/**
 * Flow descriptions of an application. One that the session names already may have lost its PFDs
 * since: its PDRs match nothing, and the session can be changed as ever.
 */
function flowsAt(context: RuleContext, ie: number): readonly Uint8Array[] {
  const application = applicationAt(context, ie);
  const flows = application === undefined || application.isUnmatchable ? [] : application.flows;
  return flows.length === 0 && namedBefore(context, ie) ? NOTHING : flows;
}

function namedBefore({ tree, before }: RuleContext, ie: number): boolean {
  if (before === null) return false;
  const length = tree.valueLength[ie]!;
  const id = tree.bytes.subarray(tree.valueAt[ie]!, tree.valueAt[ie]! + length);
  for (let other = 0; other < before.count; other++) {
    if (before.ieType[other] !== Ie.ApplicationId || before.valueLength[other] !== length) continue;
    const at = before.valueAt[other]!;
    if (id.every((octet, i) => octet === before.bytes[at + i])) return true;
  }
  return false;
}

function applicationAt(context: RuleContext, ie: number): Application | undefined {
  const { bytes, valueAt, valueLength } = context.tree;
  return context.applications?.find(bytes, valueAt[ie]!, valueLength[ie]!);
}

/** @param application  place of the application ID, -1: none. */
export function compileFilters(
  context: RuleContext,
  pdr: number,
  at: number,
  pdi: number,
  filters: number,
  application: number,
): void {
  const { tree, record } = context;
  if (filters === 0 && application < 0) return;
  const first = context.filters;
  let count = filters;
  if (application >= 0) {
    if (filters > 0) {
      const message = 'an application and SDF filters can not be combined';
      context.refuse(Cause.ServiceNotSupported, Ie.ApplicationId, message);
      return;
    }
    count = compileApplication(context, application);
  } else {
    let filter = first;
    for (let i = pdi + 1, end = tree.ieEnd[pdi]!; i < end; i = tree.ieEnd[i]!) {
      if (tree.ieType[i] === Ie.SdfFilter) compileFilter(context, pdr, filter++, i);
    }
  }
  context.filters += count;
  record.words[at + layout.PDR_FILTERS] = first | (count << 16);
}

function compileApplication(context: RuleContext, ie: number): number {
  const flows = flowsAt(context, ie);
  if (flows.length === 0) {
    if (applicationAt(context, ie)?.isUnmatchable === true) {
      const message = 'the application has names or URLs, which are not matched';
      context.refuse(Cause.ServiceNotSupported, Ie.ApplicationId, message);
    } else {
      const message = 'no PFDs are known of the application';
      context.refuse(Cause.UnknownApplicationId, Ie.ApplicationId, message);
    }
    return 0;
  }
  let filter = context.filters;
  for (const flow of flows) {
    if (!compileFlow(context, filter++, flow, 0, flow.length, Ie.ApplicationId)) return 0;
  }
  return filter - context.filters;
}

function compileFilter(context: RuleContext, pdr: number, filter: number, ie: number): void {
  const { tree, record } = context;
  const { words } = record;
  const at = record.filtersAt + filter * layout.FILTER_WORDS;
  const flags = context.number(ie, 1);
  let from = tree.valueAt[ie]! + HEAD_OCTETS;
  if ((flags & FD) !== 0) {
    if (!context.hasOctets(ie, from, 2)) return;
    const length = context.numberAt(from, 2);
    from += 2;
    if (!context.hasOctets(ie, from, length)) return;
    if (!compileFlow(context, filter, tree.bytes, from, from + length, Ie.SdfFilter)) return;
    from += length;
  }
  if ((flags & TTC) !== 0) {
    if (!context.hasOctets(ie, from, 2)) return;
    const tos = context.numberAt(from, 1);
    words[at + layout.FILTER_TOS] = tos | (context.numberAt(from + 1, 1) << 8);
    words[at]! |= layout.FILTER_HAS_TOS | layout.FILTER_HAS_TOS_MASK;
    from += 2;
  }
  if ((flags & SPI) !== 0) {
    if (!context.hasOctets(ie, from, 4)) return;
    words[at + layout.FILTER_SPI] = context.numberAt(from, 4);
    words[at]! |= layout.FILTER_HAS_SPI;
    from += 4;
  }
  if ((flags & FL) !== 0) {
    if (!context.hasOctets(ie, from, 3)) return;
    words[at + layout.FILTER_FLOW_LABEL] = context.numberAt(from, 3) & 0xfffff;
    words[at]! |= layout.FILTER_HAS_FLOW_LABEL;
    from += 3;
  }
  if ((flags & BID) === 0) return;
  if (!context.hasOctets(ie, from, 4)) return;
  const reference = { pdr, filter, id: context.numberAt(from, 4) };
  if ((flags & (FD | TTC | SPI | FL)) === 0) context.references.push(reference);
  else context.definitions.push(reference);
}

/** The flow description bytes[start…end) into a filter; false: refused. */
function compileFlow(
  context: RuleContext,
  filter: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  offending: number,
): boolean {
  const { record, flow } = context;
  const at = record.filtersAt + filter * layout.FILTER_WORDS;
  const length = end - start;
  const text = length > FLOW_DESCRIPTION_MAX ? 0 : record.appendText(bytes, start, length);
  record.words[at + layout.FILTER_TEXT] = text;
  // Uplink and downlink mostly have the same text: what it means is there already.
  if (text !== 0 && copyLast(context, filter, text)) return true;
  if (!flow.parse(bytes, start, end)) {
    const message = `no flow description: at character ${flow.column} expected ${flow.expected}`;
    return context.fail(offending, message);
  }
  flow.write(record, at);
  return true;
}

function copyLast(context: RuleContext, filter: number, text: number): boolean {
  if (filter === 0) return false;
  const { words, filtersAt } = context.record;
  const at = filtersAt + filter * layout.FILTER_WORDS;
  const from = at - layout.FILTER_WORDS;
  const others =
    layout.FILTER_HAS_TOS |
    layout.FILTER_HAS_TOS_MASK |
    layout.FILTER_HAS_SPI |
    layout.FILTER_HAS_FLOW_LABEL;
  if (words[from + layout.FILTER_TEXT] !== text) return false;
  words[at] = words[from]! & ~others;
  for (let word = layout.FILTER_PROTOCOL; word <= layout.FILTER_DESTINATION_PORTS; word++) {
    words[at + word] = words[from + word]!;
  }
  return true;
}

/** Once all PDRs are there: filters that are IDs become what the IDs stand for. */
export function resolveReferences(context: RuleContext): void {
  const { words, filtersAt } = context.record;
  for (const reference of context.references) {
    const definition = definitionOf(context, reference);
    if (definition === undefined) {
      context.ruleTable = layout.TABLE_PDR;
      context.ruleId = words[layout.HEADER_WORDS + reference.pdr * layout.PDR_WORDS]! & 0xffff;
      context.fail(Ie.SdfFilter, `no SDF filter of the session has ID ${reference.id}`);
      return;
    }
    const from = filtersAt + definition.filter * layout.FILTER_WORDS;
    const to = filtersAt + reference.filter * layout.FILTER_WORDS;
    for (let word = 0; word < layout.FILTER_WORDS; word++) words[to + word] = words[from + word]!;
  }
}

function definitionOf(context: RuleContext, { id }: FilterReference) {
  return context.definitions.find((definition) => definition.id === id);
}
