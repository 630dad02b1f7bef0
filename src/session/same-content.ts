import { sameWords } from '../model/record.js';
import * as L from '../model/record-layout.js';
export function sameContent(a: Uint32Array, ab: number, b: Uint32Array, bb: number): boolean {
  const skip = new Set([L.HEADER_BYTES,L.HEADER_SEID_LOW,L.HEADER_SEID_HIGH,L.HEADER_REVISION_LOW,L.HEADER_REVISION_HIGH,L.HEADER_OWNER,L.HEADER_SESSION_INDEX,L.HEADER_CREATE_TIME_LOW,L.HEADER_CREATE_TIME_HIGH,L.HEADER_INCARNATION,L.HEADER_PLACE]);
  const flags = b[bb + L.HEADER_FLAGS]!;
  for (let i = 0; i < L.HEADER_WORDS; i++) {
    if (skip.has(i)) continue;
    if (i === L.HEADER_UE_IPV4 && (flags & L.UE_IPV4_FROM_POOL)) continue;
    if ((i === L.HEADER_UE_PREFIX_HIGH || i === L.HEADER_UE_PREFIX_LOW) && (flags & L.UE_IPV6_FROM_POOL)) continue;
    if (a[ab + i] !== b[bb + i]) return false;
  }
  const pdrs = (b[bb + L.HEADER_COUNTS1]! >>> 8) & 255;
  let at = L.HEADER_WORDS;
  for (let p = 0; p < pdrs; p++, at += L.PDR_WORDS) {
    const chosen = (b[bb + at + L.PDR_F_TEID]! & L.F_TEID_CHOSEN_HERE) !== 0;
    for (let i = 0; i < L.PDR_WORDS; i++) {
      if (chosen && i === L.PDR_TEID) continue;
      if (i === L.PDR_F_TEID) { if ((a[ab+at+i]! & ~0x3c) !== (b[bb+at+i]! & ~0x3c)) return false; continue; }
      if (chosen && i >= L.PDR_LOCAL_IPV4 && i < L.PDR_LOCAL_IPV6 + 4) continue;
      if (a[ab + at + i] !== b[bb + at + i]) return false;
    }
  }
  const end = Math.min(a[ab + 1]!, b[bb + 1]!) >>> 2;
  return sameWords(a, ab + at, b, bb + at, end - at);
}
