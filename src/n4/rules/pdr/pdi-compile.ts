/** F-TEIDs, UE addresses and QFIs of PDIs and traffic endpoints into a PDR. Pure. */
import * as layout from '../../../model/record-layout.js';
import * as Cause from '../../codec/cause.js';
import * as Ie from '../../codec/ie.js';
import type { RuleContext } from '../rule-context.js';

/** F-TEID, TS 29.244 clause 8.2.3. */
const F_TEID_V4 = 1;
const F_TEID_V6 = 2;
export const F_TEID_CH = 4;
const F_TEID_CHID = 8;

/** UE IP Address, TS 29.244 clause 8.2.62. */
const UE_V6 = 0x01;
const UE_V4 = 0x02;
const UE_IPV6_DELEGATED = 0x08;
const UE_CHOOSE_V4 = 0x10;
const UE_CHOOSE_V6 = 0x20;
const UE_IPV6_PREFIX_LENGTH = 0x40;
const PREFIX_BITS = 64;

/**
 * @param endpoint  ID of the traffic endpoint that the F-TEID is of, -1: the PDI's own.
 * An F-TEID that is left to choose notes the address families asked for; the engine leaves
 * those of them that the port has.
 */
export function compileFTeid(context: RuleContext, at: number, ie: number, endpoint: number): void {
  const { tree, record } = context;
  const { words } = record;
  if ((words[at + layout.PDR_F_TEID]! & layout.F_TEID_PRESENT) !== 0) return;
  const flags = context.number(ie, 1);
  const start = tree.valueAt[ie]! + 1;
  const v4 = (flags & F_TEID_V4) !== 0;
  const v6 = (flags & F_TEID_V6) !== 0;
  const families = (v4 ? layout.F_TEID_IPV4 : 0) | (v6 ? layout.F_TEID_IPV6 : 0);
  if ((flags & F_TEID_CH) !== 0) {
    const asked = families === 0 ? layout.F_TEID_IPV4 : families;
    const choice = choiceOf(context, at, ie, flags, endpoint);
    words[at + layout.PDR_F_TEID] =
      layout.F_TEID_PRESENT | layout.F_TEID_CHOSEN_HERE | asked | choice;
    return;
  }
  if ((flags & F_TEID_CHID) !== 0) {
    const message = 'a CHOOSE ID comes with CHOOSE only';
    context.refuse(Cause.InvalidFTeidAllocationOption, Ie.FTeid, message);
    return;
  }
  if (families === 0) {
    const message = 'an F-TEID has an address, or is to be chosen';
    context.refuse(Cause.MandatoryIeIncorrect, Ie.FTeid, message);
    return;
  }
  if (!context.hasOctets(ie, start, 4 + (v4 ? 4 : 0) + (v6 ? 16 : 0))) return;
  words[at + layout.PDR_TEID] = context.numberAt(start, 4);
  words[at + layout.PDR_F_TEID] = layout.F_TEID_PRESENT | families;
  let from = start + 4;
  if (v4) {
    words[at + layout.PDR_LOCAL_IPV4] = context.numberAt(from, 4);
    from += 4;
  }
  for (let word = 0; v6 && word < 4; word++) {
    words[at + layout.PDR_LOCAL_IPV6 + word] = context.numberAt(from + word * 4, 4);
  }
}

/** With whom a chosen F-TEID is shared: the choose ID and flags of a record. */
function choiceOf(
  context: RuleContext,
  at: number,
  ie: number,
  flags: number,
  endpoint: number,
): number {
  if (endpoint >= 0) return layout.F_TEID_ENDPOINT | (endpoint << 8);
  if ((flags & F_TEID_CHID) !== 0) {
    const start = context.tree.valueAt[ie]! + 1;
    return context.hasOctets(ie, start, 1) ? context.numberAt(start, 1) << 8 : 0;
  }
  const source = (context.record.words[at]! >>> 16) & 0xff;
  // Such a peer uses no choose IDs: 0 stands for all that are left out.
  const { sharedFTeid } = context.profile;
  const isBare = (flags & (F_TEID_V4 | F_TEID_V6)) === 0;
  const shared = sharedFTeid === true || (sharedFTeid === 'auto' && isBare);
  return shared && source === layout.INTERFACE_ACCESS ? 0 : layout.F_TEID_UNSHARED;
}

export function compileUeAddress(context: RuleContext, at: number, ie: number): void {
  const { tree, record } = context;
  const { words } = record;
  const flags = context.number(ie, 1);
  const v4 = (flags & UE_V4) !== 0;
  const v6 = (flags & UE_V6) !== 0;
  let from = tree.valueAt[ie]! + 1;
  if (v4) {
    if (!context.hasOctets(ie, from, 4)) return;
    const address = context.numberAt(from, 4);
    from += 4;
    if (address === 0 || !record.nameUeIpv4(address)) {
      refuseAddress(context, address === 0);
      return;
    }
    words[at + layout.PDR_LISTS]! |= layout.PDR_UE_IPV4 << 16;
  } else if ((flags & UE_CHOOSE_V4) !== 0) {
    record.nameUeIpv4(0);
    words[at + layout.PDR_LISTS]! |= (layout.PDR_UE_IPV4 | layout.PDR_UE_IPV4_AUTO) << 16;
  }
  if (v6) compilePrefix(context, at, ie, flags, from);
  else if ((flags & UE_CHOOSE_V6) !== 0) {
    record.nameUePrefix(0, 0);
    words[at + layout.PDR_LISTS]! |= (layout.PDR_UE_IPV6 | layout.PDR_UE_IPV6_AUTO) << 16;
  }
}

/** The UE's /64. A shorter prefix is that of a route to it, too. */
function compilePrefix(
  context: RuleContext,
  at: number,
  ie: number,
  flags: number,
  start: number,
): void {
  const { record } = context;
  if (!context.hasOctets(ie, start, 16)) return;
  const high = context.numberAt(start, 4);
  const low = context.numberAt(start + 4, 4);
  let length = PREFIX_BITS;
  let from = start + 16;
  if ((flags & UE_IPV6_DELEGATED) !== 0) {
    if (!context.hasOctets(ie, from, 1)) return;
    length = PREFIX_BITS - context.numberAt(from++, 1);
  }
  if ((flags & UE_IPV6_PREFIX_LENGTH) !== 0) {
    if (!context.hasOctets(ie, from, 1)) return;
    length = context.numberAt(from, 1);
  }
  if (length < 1 || length > PREFIX_BITS) {
    const message = 'the prefix of a UE is a /64 or a shorter one';
    context.refuse(Cause.ServiceNotSupported, Ie.UeIpAddress, message);
    return;
  }
  if ((high | low) === 0 || !record.nameUePrefix(high, low)) {
    refuseAddress(context, (high | low) === 0);
    return;
  }
  record.nameUeInterface(context.numberAt(start + 8, 4), context.numberAt(start + 12, 4));
  record.words[at + layout.PDR_LISTS]! |= layout.PDR_UE_IPV6 << 16;
  if (length < PREFIX_BITS) context.routes.notePrefix(context, high, low, length);
}

function refuseAddress(context: RuleContext, unspecified: boolean): void {
  const message = unspecified
    ? 'the UE address is unspecified'
    : 'a session has one UE address of each family';
  context.fail(Ie.UeIpAddress, message);
}

export function compileQfi(context: RuleContext, at: number, ie: number): void {
  const { words } = context.record;
  const qfi = context.number(ie, 1) & 63;
  if (qfi === 0) {
    context.fail(Ie.Qfi, 'a QFI is from 1 to 63');
    return;
  }
  words[at + (qfi < 32 ? layout.PDR_QFIS_LOW : layout.PDR_QFIS_HIGH)]! |= 1 << (qfi & 31);
}
