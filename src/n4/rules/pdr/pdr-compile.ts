/**
 * PDRs of a shadow into the PDR table of a record. What a PDI says itself comes before what
 * its traffic endpoints say. Source: TS 29.244 clauses 7.5.2.2, 7.5.2.7. Pure.
 */
import * as layout from '../../../model/record-layout.js';
import * as Cause from '../../codec/cause.js';
import * as Ie from '../../codec/ie.js';
import { findIe } from '../ie-tree.js';
import { keepName } from '../network-instance.js';
import type { RuleContext } from '../rule-context.js';
import { INACTIVITY_URR_ID } from '../urr-compile.js';
import { compileFilters } from './filter-compile.js';
import { compileFTeid, compileQfi, compileUeAddress } from './pdi-compile.js';

/** Outer Header Removal: GTP-U over IPv4, over IPv6, over either. */
const REMOVAL_GTPU_IPV4 = 0;
const REMOVAL_GTPU_IPV6 = 1;
const REMOVAL_GTPU = 6;
/** Values of the API. */
const REMOVE_GTPU = 1;
const REMOVE_NONE = 2;
/** Source Interface: values from here on are those of 5G VN groups. */
const INTERFACE_MAX = 3;

export function compilePdr(context: RuleContext, index: number, ie: number): void {
  const { tree, record } = context;
  const { words, references } = record;
  const at = layout.HEADER_WORDS + index * layout.PDR_WORDS;
  references.qerFirst[index] = references.qers;
  references.urrFirst[index] = references.urrs;
  let id = -1;
  let pdi = -1;
  let far = -1;
  let precedence = -1;
  let removal = REMOVE_NONE;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.PdrId:
        if (id < 0) id = context.number(i, 2);
        context.ruleId = id;
        break;
      case Ie.Precedence:
        if (precedence < 0) precedence = context.number(i, 4);
        break;
      case Ie.Pdi:
        if (pdi < 0) pdi = i;
        break;
      case Ie.OuterHeaderRemoval:
        removal = removalOf(context, i);
        break;
      case Ie.FarId:
        if (far < 0) far = context.number(i, 4);
        break;
      case Ie.QerId:
        references.qers = refer(
          context,
          i,
          context.number(i, 4),
          references.qerIds,
          references.qers,
        );
        break;
      case Ie.UrrId:
        references.urrs = refer(
          context,
          i,
          context.number(i, 4),
          references.urrIds,
          references.urrs,
        );
        break;
    }
  }
  if (!areThere(context, id, precedence, pdi, far)) return;
  words[at] = id | (removal << 24);
  words[at + layout.PDR_PRECEDENCE] = precedence;
  references.farIds[index] = far;
  endLists(context, index, ie);
  compilePdi(context, index, at, pdi);
}

function areThere(
  context: RuleContext,
  id: number,
  precedence: number,
  pdi: number,
  far: number,
): boolean {
  if (id < 0) context.missing(Ie.PdrId);
  else if (precedence < 0) context.missing(Ie.Precedence);
  else if (pdi < 0) context.missing(Ie.Pdi);
  else if (far < 0) context.missing(Ie.FarId);
  return !context.refusal.refused;
}

/** The PDR's lists are complete, but for the hidden URR. */
function endLists(context: RuleContext, index: number, ie: number): void {
  const { references } = context.record;
  if (context.watchesInactivity) {
    references.urrs = refer(context, ie, INACTIVITY_URR_ID, references.urrIds, references.urrs);
  }
  references.qerCount[index] = references.qers - references.qerFirst[index]!;
  references.urrCount[index] = references.urrs - references.urrFirst[index]!;
}

function removalOf(context: RuleContext, ie: number): number {
  const removal = context.number(ie, 1);
  const gtpu = removal === REMOVAL_GTPU_IPV4 || removal === REMOVAL_GTPU_IPV6;
  if (gtpu || removal === REMOVAL_GTPU) return REMOVE_GTPU;
  const message = 'no other outer header than GTP-U can be removed';
  context.refuse(Cause.ServiceNotSupported, Ie.OuterHeaderRemoval, message);
  return REMOVE_NONE;
}

function refer(
  context: RuleContext,
  ie: number,
  id: number,
  ids: Uint32Array,
  count: number,
): number {
  if (count === ids.length) {
    const type = context.tree.ieType[ie]!;
    context.refuse(Cause.NoResources, type, 'there are too many references between rules');
    return count;
  }
  ids[count] = id;
  return count + 1;
}

/** The PDI at `ie`, then its traffic endpoints: the same IEs mean the same in both. */
function compilePdi(context: RuleContext, index: number, at: number, ie: number): void {
  const { tree, record } = context;
  const { words } = record;
  const sourceAt = findIe(tree, ie, Ie.SourceInterface);
  if (sourceAt < 0) {
    context.missing(Ie.SourceInterface);
    return;
  }
  const source = context.number(sourceAt, 1) & 15;
  if (source > INTERFACE_MAX) {
    const message = 'the source interface is not supported';
    context.refuse(Cause.ServiceNotSupported, Ie.SourceInterface, message);
  }
  words[at]! |= (source + 1) << 16;
  let filters = 0;
  let application = -1;
  context.routes.begin();
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.SdfFilter:
        filters++;
        break;
      case Ie.ApplicationId:
        if (application < 0) application = i;
        break;
      case Ie.TrafficEndpointId:
      case Ie.EthernetPacketFilter:
      case Ie.EthernetPduSessionInformation:
      case Ie.IpMulticastAddressingInfo:
      case Ie.DnsQueryFilter:
      case Ie.RedundantTransmissionDetectionParameters:
        break;
      default:
        describePlace(context, at, i, -1);
    }
  }
  visitEndpoints(context, at, ie);
  compileFilters(context, index, at, ie, filters, application);
  context.routes.place(context, at);
}

/** Traffic endpoints of a PDI, and what of it can't be done. */
function visitEndpoints(context: RuleContext, at: number, pdi: number): void {
  const { tree } = context;
  for (let i = pdi + 1, end = tree.ieEnd[pdi]!; i < end; i = tree.ieEnd[i]!) {
    const type = tree.ieType[i]!;
    if (
      type === Ie.EthernetPacketFilter ||
      type === Ie.EthernetPduSessionInformation ||
      type === Ie.IpMulticastAddressingInfo ||
      type === Ie.DnsQueryFilter ||
      type === Ie.RedundantTransmissionDetectionParameters
    ) {
      context.refuse(Cause.ServiceNotSupported, type, 'is not supported');
    }
    if (type !== Ie.TrafficEndpointId) continue;
    const id = context.number(i, 1);
    const group = context.endpoints[id]! - 1;
    if (group < 0) {
      context.fail(Ie.TrafficEndpointId, `the session has no traffic endpoint ${id}`);
      return;
    }
    const { words } = context.record;
    const chosen = words[at + layout.PDR_LISTS]!;
    for (let child = group + 1; child < tree.ieEnd[group]!; child = tree.ieEnd[child]!) {
      describePlace(context, at, child, id);
    }
    if (words[at + layout.PDR_LISTS] !== chosen) noteChooser(words, at, id);
  }
}

/**
 * A UE address is chosen for the endpoint: the answer tells of it by the endpoint, as of a chosen
 * F-TEID. A PDI that has an F-TEID chosen for itself is told of with all that it got.
 */
function noteChooser(words: Uint32Array, at: number, endpoint: number): void {
  const auto = (layout.PDR_UE_IPV4_AUTO | layout.PDR_UE_IPV6_AUTO) << 16;
  if ((words[at + layout.PDR_LISTS]! & auto) === 0) return;
  if ((words[at + layout.PDR_F_TEID]! & layout.F_TEID_CHOSEN_HERE) !== 0) return;
  words[at + layout.PDR_F_TEID]! |= layout.F_TEID_ENDPOINT | (endpoint << 8);
}

/** An IE that PDIs and traffic endpoints have in common. @param endpoint  its ID, -1: a PDI's. */
function describePlace(context: RuleContext, at: number, ie: number, endpoint: number): void {
  const { words } = context.record;
  switch (context.tree.ieType[ie]) {
    case Ie.NetworkInstance:
      if (words[at + layout.PDR_INSTANCE] === 0) {
        words[at + layout.PDR_INSTANCE] = keepName(context, ie);
      }
      break;
    case Ie.FTeid:
      compileFTeid(context, at, ie, endpoint);
      break;
    case Ie.UeIpAddress:
      compileUeAddress(context, at, ie);
      break;
    case Ie.Qfi:
      compileQfi(context, at, ie);
      break;
    case Ie.FramedRoute:
    case Ie.FramedIpv6Route:
      context.routes.note(context, ie);
      break;
    case Ie.EthernetPduSessionInformation:
      context.refuse(Cause.ServiceNotSupported, Ie.EthernetPduSessionInformation, 'no Ethernet');
      break;
    case 0:
      // One part less would match more packets.
      context.tooShort(ie);
      break;
  }
}
