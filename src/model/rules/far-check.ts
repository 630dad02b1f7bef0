/** Checks of a FAR and its duplicates. Pure; any thread. */
import * as layout from '../record-layout.js';
import {
  type CheckContext,
  INSTANCE_MAX,
  isUnicastIpv4,
  isUnicastIpv6,
  UNICAST,
} from './check-context.js';

export const DUPLICATES_MAX = 8;
const DSCP_MAX = 63;
const FORWARD_INSTANCE = '.forward.network_instance';

export function checkFar(context: CheckContext, index: number): boolean {
  const words = context.words;
  const at = context.farsAt + index * layout.FAR_WORDS;
  const action = words[at + layout.FAR_ACTION]! & 255;
  const duplicates = words[at + layout.FAR_UDP_PORT]! >>> 24;
  if (action < layout.ACTION_FORWARD || action > layout.ACTION_BUFFER) {
    const message = 'must be one of forward, drop and buffer';
    return context.refuse(layout.TABLE_FAR, index, '.action', message);
  }
  if (duplicates > DUPLICATES_MAX) {
    const message = `must be at most ${DUPLICATES_MAX}`;
    return context.refuse(layout.TABLE_FAR, index, '.duplicates', message);
  }
  if (action === layout.ACTION_FORWARD && !checkForward(context, index, -1, at)) return false;
  const first = context.base + words[at + layout.FAR_DUPLICATES]!;
  for (let position = 0; position < duplicates; position++) {
    const duplicate = first + position * layout.FAR_WORDS;
    if (!checkForward(context, index, position, duplicate)) return false;
  }
  return true;
}

function refuse(
  context: CheckContext,
  index: number,
  duplicate: number,
  field: string,
  message: string,
): false {
  const forward = duplicate < 0 ? '.forward' : `.duplicates[${duplicate}]`;
  return context.refuse(layout.TABLE_FAR, index, `${forward}.${field}`, message);
}

function checkForward(
  context: CheckContext,
  index: number,
  duplicate: number,
  at: number,
): boolean {
  const words = context.words;
  const action = words[at + layout.FAR_ACTION]!;
  const destination = (action >>> 8) & 255;
  if (destination < layout.INTERFACE_ACCESS || destination > layout.INTERFACE_CP_FUNCTION) {
    const message = 'must be ACCESS, CORE, N6_LAN or CP_FUNCTION';
    return refuse(context, index, duplicate, 'destination_interface', message);
  }
  if (action >>> 24 > DSCP_MAX) {
    return refuse(context, index, duplicate, 'dscp', `must be from 0 to ${DSCP_MAX}`);
  }
  const instance = words[at + layout.FAR_INSTANCE]!;
  const forward = duplicate < 0 ? FORWARD_INSTANCE : `.duplicates[${duplicate}].network_instance`;
  return (
    context.text(instance, INSTANCE_MAX, layout.TABLE_FAR, index, forward) &&
    checkOuterHeader(context, index, duplicate, at)
  );
}

function checkOuterHeader(
  context: CheckContext,
  index: number,
  duplicate: number,
  at: number,
): boolean {
  const words = context.words;
  const flags = words[at + layout.FAR_ACTION]! >>> 16;
  const ipv4 = (flags & layout.FAR_OUTER_IPV4) !== 0;
  const ipv6 = (flags & layout.FAR_OUTER_IPV6) !== 0;
  if ((flags & layout.FAR_OUTER_HEADER) === 0) return true;
  if (ipv4 === ipv6) {
    const message = 'must have exactly one of ipv4 and ipv6';
    return refuse(context, index, duplicate, 'outer_header_creation', message);
  }
  if (words[at + layout.FAR_TEID] === 0) {
    return refuse(context, index, duplicate, 'outer_header_creation.teid', 'must not be 0');
  }
  if (ipv4 && !isUnicastIpv4(words[at + layout.FAR_IPV4]!)) {
    return refuse(context, index, duplicate, 'outer_header_creation.ipv4', UNICAST);
  }
  if (ipv6 && !isUnicastIpv6(words, at + layout.FAR_IPV6)) {
    return refuse(context, index, duplicate, 'outer_header_creation.ipv6', UNICAST);
  }
  return true;
}
