/** FARs of a shadow into the FAR table of a record. Source: TS 29.244 clause 7.5.2.3. Pure. */
import * as layout from '../../model/record-layout.js';
import { isUnicastIpv4, isUnicastIpv6 } from '../../model/rules/check-context.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import { flagsAt } from './ie-tree.js';
import { keepName } from './network-instance.js';
import type { RuleContext } from './rule-context.js';

const DROP = 0x01;
const FORW = 0x02;
const BUFF = 0x04;
const NOCP = 0x08;
const DUPL = 0x10;
const IPMA = 0x20;
const IPMD = 0x40;
/** DFRT and EDRT: redundant transmission. */
const REDUNDANT = 0x80 | 0x100;
const ONE_OF = DROP | FORW | BUFF | IPMA | IPMD;

const GTPU_IPV4 = 0x01;
const GTPU_IPV6 = 0x02;
/** Destination Interface of copies for lawful interception. */
const LI_FUNCTION = 4;
const INTERFACE_MAX = 3;

export function compileFar(context: RuleContext, index: number, ie: number): void {
  const { tree, record } = context;
  const at = record.farsAt + index * layout.FAR_WORDS;
  let id = -1;
  let action = -1;
  let forwarding = -1;
  let copies = 0;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.FarId:
        if (id < 0) id = context.number(i, 4);
        context.ruleId = id;
        break;
      case Ie.ApplyAction:
        if (action < 0) action = flagsAt(tree, i, 2);
        break;
      case Ie.ForwardingParameters:
        if (forwarding < 0) forwarding = i;
        break;
      case Ie.DuplicatingParameters:
        copies++;
        break;
      case Ie.BarId:
        record.references.barIds[index] = context.number(i, 1);
        break;
      case Ie.RedundantTransmissionForwardingParameters:
        context.refuse(Cause.ServiceNotSupported, tree.ieType[i]!, 'is not supported');
        break;
    }
  }
  record.words[at] = id;
  if (id < 0) context.missing(Ie.FarId);
  else if (action < 0) context.missing(Ie.ApplyAction);
  else if (checkAction(context, action)) {
    applyAction(context, index, at, action, forwarding);
    if ((action & DUPL) !== 0) duplicate(context, at, ie, copies);
  }
}

function checkAction(context: RuleContext, action: number): boolean {
  const one = action & ONE_OF;
  if (one === 0 || (one & (one - 1)) !== 0) {
    const message = 'exactly one of DROP, FORW, BUFF, IPMA and IPMD must be set';
    return context.refuse(Cause.MandatoryIeIncorrect, Ie.ApplyAction, message);
  }
  if ((one & (IPMA | IPMD)) === 0 && (action & REDUNDANT) === 0) return true;
  return context.refuse(Cause.ServiceNotSupported, Ie.ApplyAction, 'an action is not supported');
}

function applyAction(
  context: RuleContext,
  index: number,
  at: number,
  action: number,
  forwarding: number,
): void {
  const { words, references } = context.record;
  // A BAR says how packets are buffered; without buffering it says nothing.
  const bar = references.barIds[index]!;
  references.barIds[index] = 0;
  if ((action & FORW) !== 0) {
    if (forwarding >= 0) {
      forward(context, at, forwarding, false);
      if (words[at + layout.FAR_ACTION] === layout.ACTION_BUFFER) references.barIds[index] = bar;
    } else {
      const message = 'FORW needs forwarding parameters';
      context.refuse(Cause.ConditionalIeMissing, Ie.ForwardingParameters, message);
    }
    return;
  }
  const tunnel = forwarding < 0 ? 0 : keepTunnel(context, at, forwarding);
  if ((action & DROP) !== 0) {
    words[at + layout.FAR_ACTION] = layout.ACTION_DROP | tunnel;
    return;
  }
  const notify = (action & NOCP) !== 0 ? layout.FAR_NOTIFY << 16 : 0;
  words[at + layout.FAR_ACTION] = layout.ACTION_BUFFER | notify | tunnel;
  references.barIds[index] = bar;
}

/**
 * What a FAR that holds or drops for now keeps of its tunnel, into the FAR at `at`: an End Marker
 * is sent into it once packets have another. The part of FAR_ACTION; parameters that cannot be
 * used say nothing here.
 */
function keepTunnel(context: RuleContext, at: number, ie: number): number {
  const { tree, record } = context;
  let header = -1;
  let instance = -1;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    if (tree.ieType[i] === Ie.OuterHeaderCreation && header < 0) header = i;
    else if (tree.ieType[i] === Ie.NetworkInstance) instance = i;
  }
  if (header < 0 || tree.valueLength[header]! < 2) return 0;
  const description = flagsAt(tree, header, 2) & 0xff;
  if (!isTunnel(description) || tree.valueLength[header]! < tunnelOctets(description)) return 0;
  if (instance >= 0) record.words[at + layout.FAR_INSTANCE] = keepName(context, instance);
  const flags = createHeader(context, at, header);
  const { words } = record;
  const ipv6 = (flags & layout.FAR_OUTER_IPV6) !== 0;
  const reachable = ipv6
    ? isUnicastIpv6(words, at + layout.FAR_IPV6)
    : isUnicastIpv4(words[at + layout.FAR_IPV4]!);
  return reachable && words[at + layout.FAR_TEID] !== 0 ? flags << 16 : 0;
}

function isTunnel(description: number): boolean {
  const known = GTPU_IPV4 | GTPU_IPV6;
  return (description & known) !== 0 && (description & ~known) === 0;
}

/** Of an Outer Header Creation: description, TEID, addresses. */
function tunnelOctets(description: number): number {
  const ipv4 = (description & GTPU_IPV4) !== 0 ? 4 : 0;
  return 6 + ipv4 + ((description & GTPU_IPV6) !== 0 ? 16 : 0);
}

/** Forwarding or duplicating parameters into the FAR, or its copy, at `at`. */
function forward(context: RuleContext, at: number, ie: number, copy: boolean): void {
  const { tree, record } = context;
  const { words } = record;
  let destination = -1;
  let header = -1;
  let marking = -1;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    switch (tree.ieType[i]) {
      case Ie.DestinationInterface:
        if (destination < 0) destination = context.number(i, 1) & 15;
        break;
      case Ie.NetworkInstance:
        words[at + layout.FAR_INSTANCE] = keepName(context, i);
        break;
      case Ie.OuterHeaderCreation:
        if (header < 0) header = i;
        break;
      case Ie.TransportLevelMarking:
        marking = (context.number(i, 2) >>> 10) & 63;
        break;
      case 0:
        context.tooShort(i);
        break;
    }
  }
  if (destination < 0) {
    context.missing(Ie.DestinationInterface);
    return;
  }
  const side = destinationOf(context, destination, copy);
  const outer = header < 0 ? 0 : createHeader(context, at, header);
  const marked = marking < 0 ? 0 : layout.FAR_DSCP;
  // Nothing may go to the access side without a tunnel: the gNB is not known yet, packets wait.
  const waits = side === layout.INTERFACE_ACCESS && outer === 0;
  const action = waits ? layout.ACTION_BUFFER : layout.ACTION_FORWARD;
  const dscp = Math.max(marking, 0);
  words[at + layout.FAR_ACTION] = waits
    ? action
    : action | (side << 8) | ((outer | marked) << 16) | (dscp << 24);
}

function destinationOf(context: RuleContext, destination: number, copy: boolean): number {
  if (destination <= INTERFACE_MAX) return destination + 1;
  // The function that takes copies is reached as any other network is.
  if (copy && destination === LI_FUNCTION) return layout.INTERFACE_CORE;
  const message = 'the destination interface is not supported';
  context.refuse(Cause.ServiceNotSupported, Ie.DestinationInterface, message);
  return 0;
}

/** FAR_OUTER_… flags; 0: refused. */
function createHeader(context: RuleContext, at: number, ie: number): number {
  const { tree, record } = context;
  const { words } = record;
  const description = flagsAt(tree, ie, 2) & 0xff;
  const ipv4 = (description & GTPU_IPV4) !== 0;
  if ((description & (GTPU_IPV4 | GTPU_IPV6)) === 0) {
    const message = 'no other outer header than GTP-U can be created';
    context.refuse(Cause.ServiceNotSupported, Ie.OuterHeaderCreation, message);
    return 0;
  }
  if (!isTunnel(description)) {
    context.fail(Ie.OuterHeaderCreation, 'GTP-U can be combined with no other outer header');
    return 0;
  }
  if (!context.hasOctets(ie, tree.valueAt[ie]!, tunnelOctets(description))) return 0;
  const start = tree.valueAt[ie]! + 2;
  words[at + layout.FAR_TEID] = context.numberAt(start, 4);
  if (ipv4) {
    // A tunnel has one end: of two addresses the first is taken.
    words[at + layout.FAR_IPV4] = context.numberAt(start + 4, 4);
    return layout.FAR_OUTER_HEADER | layout.FAR_OUTER_IPV4;
  }
  for (let word = 0; word < 4; word++) {
    words[at + layout.FAR_IPV6 + word] = context.numberAt(start + 4 + word * 4, 4);
  }
  return layout.FAR_OUTER_HEADER | layout.FAR_OUTER_IPV6;
}

function duplicate(context: RuleContext, at: number, ie: number, copies: number): void {
  const { tree, record } = context;
  if (copies === 0 || copies > 255) {
    const message = 'DUPL needs duplicating parameters, 255 at most';
    context.refuse(Cause.ConditionalIeMissing, Ie.DuplicatingParameters, message);
    return;
  }
  let copy = record.allocate(copies * layout.FAR_WORDS);
  if (copy === 0) return;
  record.words[at + layout.FAR_DUPLICATES] = copy;
  record.words[at + layout.FAR_UDP_PORT]! |= copies << 24;
  for (let i = ie + 1, end = tree.ieEnd[ie]!; i < end; i = tree.ieEnd[i]!) {
    if (tree.ieType[i] !== Ie.DuplicatingParameters) continue;
    forward(context, copy, i, true);
    copy += layout.FAR_WORDS;
  }
}
