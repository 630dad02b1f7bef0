/** Outer packets in pieces, shuffled; sometimes one is missing, doubled or too long. */
import { checksum, put16, put32 } from '../wire/checksum.js';
import type { Random } from './random.js';
import type { TestPacket } from './random-packet.js';

const FRAGMENT_HEADER = 44;
const UNIT = 8;

/** @param serial  a number that no other packet of this time has. */
export function inFragments(random: Random, whole: TestPacket, serial: number): TestPacket[] {
  const isV6 = whole.bytes[0]! >>> 4 === 6;
  const header = isV6 ? 40 : 20;
  const length = whole.bytes.length - header;
  const cuts = Array.from({ length: random.between(1, 4) }, () => {
    return random.between(1, Math.ceil(length / UNIT) - 1) * UNIT;
  });
  const places = [...new Set([0, ...cuts, length])].sort((a, b) => a - b);
  const pieces = places.slice(1).map((to, i) => piece(whole, header, serial, places[i]!, to));
  const shuffled = random.shuffled(pieces);
  const spoilt = random.below(8);
  if (spoilt === 0) shuffled.pop();
  if (spoilt === 1) shuffled.push(random.of(pieces));
  return shuffled;
}

function piece(
  { packet, bytes }: TestPacket,
  header: number,
  serial: number,
  from: number,
  to: number,
): TestPacket {
  const more = header + to < bytes.length;
  const isV6 = header === 40;
  const own = isV6 ? header + UNIT : header;
  const out = new Uint8Array(own + to - from);
  out.set(bytes.subarray(0, header));
  out.set(bytes.subarray(header + from, header + to), own);
  if (isV6) {
    put16(out, 4, out.length - header);
    out[header] = out[6]!;
    out[6] = FRAGMENT_HEADER;
    put16(out, header + 2, from | (more ? 1 : 0));
    put32(out, header + 4, serial);
  } else {
    put16(out, 2, out.length);
    put16(out, 4, serial);
    put16(out, 6, (from >>> 3) | (more ? 0x2000 : 0));
    put16(out, 10, 0);
    put16(out, 10, checksum(out, 0, header));
  }
  const name = `${isV6 ? 6 : 4} ${serial}`;
  const fragment = { name, from, to, more, whole: packet };
  return { packet: { ...packet, fragment }, bytes: out };
}
