/**
 * What must be true of a session beyond its encoding: identity, counts, IDs, addresses, and
 * (rules/…-check.ts) each rule. Runs on a linked record, wherever it came from, and refuses
 * with the path of the field and a sentence that says what is allowed. Pure; any thread.
 * Start at {@link validateRecord}.
 */
import type { Refusal } from '../base/errors.js';
import { refuseRule } from './link.js';
import { barCount, byteAt, pdnType, pdrCount, pdrsAt, refAt, refLength } from './record.js';
import * as layout from './record-layout.js';
import { CheckContext } from './rules/check-context.js';
import { checkFar } from './rules/far-check.js';
import { checkPdr } from './rules/pdr-check.js';
import { checkQer } from './rules/qer-check.js';
import { checkUrr } from './rules/urr/urr-check.js';

export const NAME_MAX = 128;
export const DNN_MAX = 100;

/** [A-Za-z0-9._:-] */
const NAME_BYTES = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  if (/[A-Za-z0-9._:-]/.test(String.fromCharCode(byte)) && byte < 128) NAME_BYTES[byte] = 1;
}

export class RecordValidator {
  private readonly context: CheckContext;

  constructor(readonly refusal: Refusal) {
    this.context = new CheckContext(refusal);
  }

  /** False: refused. An update may leave the name out when it names the SEID. */
  validate(words: Uint32Array, base: number, nameOptional = false): boolean {
    const context = this.context;
    context.begin(words, base);
    return (
      this.checkName(words, base, nameOptional) &&
      this.checkPdnType(words, base) &&
      context.text(words[base + layout.HEADER_DNN]!, DNN_MAX, -1, 0, 'session.dnn') &&
      this.checkCounts() &&
      this.checkIds() &&
      this.checkUeAddresses(words, base) &&
      this.checkRules()
    );
  }

  private refuse(field: string, message: string): false {
    return this.refusal.set('invalid_argument', field, message);
  }

  private checkName(words: Uint32Array, base: number, optional: boolean): boolean {
    const ref = words[base + layout.HEADER_NAME]!;
    const length = refLength(ref);
    if (length === 0 && optional) return true;
    const from = refAt(base, ref);
    let valid = length >= 1 && length <= NAME_MAX;
    for (let index = 0; index < length && valid; index++) {
      valid = NAME_BYTES[byteAt(words, from, index)] === 1;
    }
    const message = `must be 1 to ${NAME_MAX} characters of A-Z, a-z, 0-9 and ._:-`;
    return valid || this.refuse('session.name', message);
  }

  private checkPdnType(words: Uint32Array, base: number): boolean {
    const type = pdnType(words, base);
    if (type === layout.PDN_TYPE_NON_IP || type === layout.PDN_TYPE_ETHERNET) {
      const message = 'must be IPv4, IPv6 or IPv4v6: other types are not implemented';
      return this.refusal.set('unimplemented', 'session.pdn_type', message);
    }
    if (type <= layout.PDN_TYPE_ETHERNET) return true;
    return this.refuse('session.pdn_type', 'must be a value of PdnType');
  }

  private checkCounts(): boolean {
    const { pdrs, fars } = this.context;
    if (pdrs === 0) return this.refuse('session.pdrs', 'must have at least one PDR');
    if (fars === 0) return this.refuse('session.fars', 'must have at least one FAR');
    return true;
  }

  private checkIds(): boolean {
    const { words, base, fars, qers, urrs, farsAt, qersAt, urrsAt, barsAt } = this.context;
    const bars = barCount(words, base);
    return (
      this.checkTable(layout.TABLE_PDR, pdrsAt(base), pdrCount(words, base), layout.PDR_WORDS) &&
      this.checkTable(layout.TABLE_FAR, farsAt, fars, layout.FAR_WORDS) &&
      this.checkTable(layout.TABLE_QER, qersAt, qers, layout.QER_WORDS) &&
      this.checkTable(layout.TABLE_URR, urrsAt, urrs, layout.URR_WORDS) &&
      this.checkTable(layout.TABLE_BAR, barsAt, bars, layout.BAR_WORDS)
    );
  }

  private checkTable(table: number, at: number, count: number, stride: number): boolean {
    const words = this.context.words;
    const mask = table === layout.TABLE_PDR ? 0xffff : -1;
    for (let index = 0; index < count; index++) {
      const id = words[at + index * stride]! & mask;
      if (id === 0 || (table === layout.TABLE_BAR && (id < 0 || id > 255))) {
        return refuseRule(this.refusal, table, index, '.id', `must be 1 to ${idMax(table)}`);
      }
      for (let other = 0; other < index; other++) {
        if ((words[at + other * stride]! & mask) !== id) continue;
        const message = `must be unique in the session; ${id >>> 0} comes twice`;
        return refuseRule(this.refusal, table, index, '.id', message);
      }
    }
    return true;
  }

  private checkUeAddresses(words: Uint32Array, base: number): boolean {
    const flags = words[base + layout.HEADER_FLAGS]!;
    const type = pdnType(words, base);
    const address = words[base + layout.HEADER_UE_IPV4]!;
    const high = words[base + layout.HEADER_UE_PREFIX_HIGH]!;
    if ((flags & layout.UE_IPV4) !== 0) {
      if (type === layout.PDN_TYPE_IPV6) {
        return this.refuseUe(layout.PDR_UE_IPV4, 'must be absent: the PDN type is IPv6');
      }
      const net = address >>> 24;
      if (address !== 0 && (net === 0 || net === 127 || net >= 224)) {
        return this.refuseUe(layout.PDR_UE_IPV4, 'must be a unicast address, not loopback');
      }
    }
    if ((flags & layout.UE_IPV6) === 0) return true;
    if (type === layout.PDN_TYPE_IPV4) {
      return this.refuseUe(layout.PDR_UE_IPV6, 'must be absent: the PDN type is IPv4');
    }
    const linkLocal = high >>> 22 === 0xfe80 >>> 6;
    if (high >>> 24 === 0xff || linkLocal) {
      return this.refuseUe(layout.PDR_UE_IPV6, 'must be neither multicast nor link-local');
    }
    return true;
  }

  /** Refuses at the first PDR that names the address. */
  private refuseUe(flag: number, message: string): false {
    const { words, base, pdrs } = this.context;
    let pdr = 0;
    for (let index = pdrs - 1; index >= 0; index--) {
      const lists = words[pdrsAt(base) + index * layout.PDR_WORDS + layout.PDR_LISTS]!;
      if (((lists >>> 16) & flag) !== 0) pdr = index;
    }
    const field = flag === layout.PDR_UE_IPV4 ? 'ipv4' : 'ipv6_prefix';
    const suffix = `.pdi.ue_address.${field}`;
    return refuseRule(this.refusal, layout.TABLE_PDR, pdr, suffix, message);
  }

  private checkRules(): boolean {
    const context = this.context;
    for (let index = 0; index < context.pdrs; index++) {
      if (!checkPdr(context, index)) return false;
    }
    for (let index = 0; index < context.fars; index++) {
      if (!checkFar(context, index)) return false;
    }
    for (let index = 0; index < context.qers; index++) {
      if (!checkQer(context, index)) return false;
    }
    for (let index = 0; index < context.urrs; index++) {
      if (!checkUrr(context, index)) return false;
    }
    return true;
  }
}

function idMax(table: number): number {
  if (table === layout.TABLE_PDR) return 65535;
  return table === layout.TABLE_BAR ? 255 : 4294967295;
}
