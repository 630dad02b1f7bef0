/** Checks of a PDR and its SDF filters. Pure; any thread. */
import { pdrsAt } from '../record.js';
import * as layout from '../record-layout.js';
import {
  type CheckContext,
  INSTANCE_MAX,
  isUnicastIpv4,
  isUnicastIpv6,
  UNICAST,
} from './check-context.js';

const REMOVAL_NONE = 2;
const FLOW_LABEL_MAX = 0xfffff;

function refuse(context: CheckContext, pdr: number, suffix: string, message: string): false {
  return context.refuse(layout.TABLE_PDR, pdr, suffix, message);
}

export function checkPdr(context: CheckContext, index: number): boolean {
  const words = context.words;
  const at = pdrsAt(context.base) + index * layout.PDR_WORDS;
  const source = (words[at]! >>> 16) & 255;
  const instance = words[at + layout.PDR_INSTANCE]!;
  if (source < layout.INTERFACE_ACCESS || source > layout.INTERFACE_CP_FUNCTION) {
    const message = 'must be ACCESS, CORE, N6_LAN or CP_FUNCTION';
    return refuse(context, index, '.pdi.source_interface', message);
  }
  if (words[at]! >>> 24 > REMOVAL_NONE) {
    const message = 'must be a value of OuterHeaderRemoval';
    return refuse(context, index, '.outer_header_removal', message);
  }
  const suffix = '.pdi.network_instance';
  return (
    context.text(instance, INSTANCE_MAX, layout.TABLE_PDR, index, suffix) &&
    checkKey(context, index, at, source) &&
    checkFTeid(context, index, at) &&
    checkFilters(context, index, at)
  );
}

/** What a packet finds its session by. */
function checkKey(context: CheckContext, index: number, at: number, source: number): boolean {
  const words = context.words;
  if ((words[at + layout.PDR_F_TEID]! & layout.F_TEID_PRESENT) !== 0) return true;
  const tunnel = source === layout.INTERFACE_ACCESS || source === layout.INTERFACE_CP_FUNCTION;
  if (tunnel) {
    const message = 'must be given for source interfaces ACCESS and CP_FUNCTION';
    return refuse(context, index, '.pdi.local_f_teid', message);
  }
  const lists = words[at + layout.PDR_LISTS]!;
  const ue = (lists >>> 16) & (layout.PDR_UE_IPV4 | layout.PDR_UE_IPV6);
  if (ue !== 0 || lists >>> 24 !== 0) return true;
  const message = 'must have an address, or the PDR a framed route or local_f_teid';
  return refuse(context, index, '.pdi.ue_address', message);
}

function checkFTeid(context: CheckContext, index: number, at: number): boolean {
  const words = context.words;
  const flags = words[at + layout.PDR_F_TEID]!;
  if ((flags & layout.F_TEID_PRESENT) === 0 || (flags & layout.F_TEID_CHOSEN_HERE) !== 0) {
    return true;
  }
  if (words[at + layout.PDR_TEID] === 0) {
    const message = 'must have a teid other than 0, or a choose_id';
    return refuse(context, index, '.pdi.local_f_teid.teid', message);
  }
  const ipv4 = words[at + layout.PDR_LOCAL_IPV4]!;
  if ((flags & layout.F_TEID_IPV4) !== 0 && !isUnicastIpv4(ipv4)) {
    return refuse(context, index, '.pdi.local_f_teid.ipv4', UNICAST);
  }
  if ((flags & layout.F_TEID_IPV6) !== 0 && !isUnicastIpv6(words, at + layout.PDR_LOCAL_IPV6)) {
    return refuse(context, index, '.pdi.local_f_teid.ipv6', UNICAST);
  }
  return true;
}

function checkFilters(context: CheckContext, index: number, at: number): boolean {
  const first = context.words[at + layout.PDR_FILTERS]! & 0xffff;
  const count = (context.words[at + layout.PDR_FILTERS]! >>> 16) & 255;
  for (let position = 0; position < count; position++) {
    const filter = context.filtersAt + (first + position) * layout.FILTER_WORDS;
    if (!checkFilter(context, index, position, filter)) return false;
  }
  return true;
}

function checkFilter(
  context: CheckContext,
  pdr: number,
  position: number,
  filter: number,
): boolean {
  const words = context.words;
  const flags = words[filter]!;
  const any =
    layout.FILTER_FLOW |
    layout.FILTER_HAS_TOS |
    layout.FILTER_HAS_SPI |
    layout.FILTER_HAS_FLOW_LABEL;
  if ((flags & layout.FILTER_HAS_TOS_MASK) !== 0 && (flags & layout.FILTER_HAS_TOS) === 0) {
    return refuseFilter(context, pdr, position, '.tos_mask', 'must come with tos');
  }
  if ((flags & any) === 0) {
    const message = 'must have a flow_description, tos, spi or flow_label';
    return refuseFilter(context, pdr, position, '', message);
  }
  if (words[filter + layout.FILTER_FLOW_LABEL]! > FLOW_LABEL_MAX) {
    return refuseFilter(
      context,
      pdr,
      position,
      '.flow_label',
      `must be from 0 to ${FLOW_LABEL_MAX}`,
    );
  }
  return true;
}

function refuseFilter(
  context: CheckContext,
  pdr: number,
  position: number,
  field: string,
  message: string,
): false {
  return refuse(context, pdr, `.pdi.sdf_filters[${position}]${field}`, message);
}
