/** What the checks of rules share: where the tables are, and checks of texts and addresses. */
import type { Refusal } from '../../base/errors.js';
import { refuseRule } from '../link.js';
import * as record from '../record.js';
import * as layout from '../record-layout.js';

export const INSTANCE_MAX = 100;
export const UNICAST = 'must be a unicast address';

export class CheckContext {
  words: Uint32Array = new Uint32Array(0);
  base = 0;
  pdrs = 0;
  fars = 0;
  qers = 0;
  urrs = 0;
  farsAt = 0;
  qersAt = 0;
  urrsAt = 0;
  barsAt = 0;
  filtersAt = 0;
  /** The text that was found good last: rules mostly share theirs. */
  private goodRef = 0;

  constructor(readonly refusal: Refusal) {}

  begin(words: Uint32Array, base: number): void {
    this.words = words;
    this.base = base;
    this.pdrs = record.pdrCount(words, base);
    this.fars = record.farCount(words, base);
    this.qers = record.qerCount(words, base);
    this.urrs = record.urrCount(words, base);
    this.farsAt = record.pdrsAt(base) + this.pdrs * layout.PDR_WORDS;
    this.qersAt = this.farsAt + this.fars * layout.FAR_WORDS;
    this.urrsAt = this.qersAt + this.qers * layout.QER_WORDS;
    this.barsAt = this.urrsAt + this.urrs * layout.URR_WORDS;
    this.filtersAt = this.barsAt + record.barCount(words, base) * layout.BAR_WORDS;
    this.goodRef = 0;
  }

  refuse(table: number, index: number, suffix: string, message: string): false {
    return refuseRule(this.refusal, table, index, suffix, message);
  }

  /** Printable ASCII without spaces, or absent. `field`: suffix of the rule's path, or a path. */
  text(ref: number, most: number, table: number, index: number, field: string): boolean {
    const length = record.refLength(ref);
    if (ref === 0 || (ref === this.goodRef && length <= most)) return true;
    const from = record.refAt(this.base, ref);
    let valid = length <= most;
    for (let at = 0; at < length && valid; at++) {
      const byte = record.byteAt(this.words, from, at);
      valid = byte > 0x20 && byte < 0x7f;
    }
    if (valid) {
      this.goodRef = ref;
      return true;
    }
    const message = `must be at most ${most} printable ASCII characters without spaces`;
    if (table >= 0) return this.refuse(table, index, field, message);
    return this.refusal.set('invalid_argument', field, message);
  }
}

/** Neither 0.0.0.0 nor multicast, reserved or broadcast. */
export function isUnicastIpv4(address: number): boolean {
  return address !== 0 && address >>> 24 < 224;
}

/** Neither :: nor multicast; address at words[at…]. */
export function isUnicastIpv6(words: Uint32Array, at: number): boolean {
  const first = words[at]!;
  if (first !== 0) return first >>> 24 !== 0xff;
  return (words[at + 1]! | words[at + 2]! | words[at + 3]!) !== 0;
}
