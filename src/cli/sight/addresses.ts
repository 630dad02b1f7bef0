/** IP addresses as bytes and as text, with a port where there is one. Pure. */
import { isIP } from 'node:net';
import { usageError } from '../../tools/tool-error.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** "10.0.0.1" or "2001:db8::1" of bytes in a packet. */
export function formatIp(view: DataView, at: number, bytes: 4 | 16): string {
  if (bytes === 4) return [0, 1, 2, 3].map((i) => view.getUint8(at + i)).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(at + 2 * i).toString(16));
  // The longest run of zeros is written as "::" (RFC 5952).
  let [best, bestLength] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === '0') length++;
    if (length > bestLength) [best, bestLength] = [i, length];
  }
  if (best < 0) return groups.join(':');
  return `${groups.slice(0, best).join(':')}::${groups.slice(best + bestLength).join(':')}`;
}

/** Bytes of an address that isIP() knows. */
export function ipBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number));
  const bytes = new Uint8Array(16);
  const [head = '', tail] = address.split('::');
  const words = (text: string | undefined): number[] =>
    text === undefined || text === ''
      ? []
      : text.split(':').flatMap((part) => {
          if (!part.includes('.')) return [Number.parseInt(part, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
          return [(a << 8) | b, (c << 8) | d];
        });
  const front = words(head);
  const back = words(tail);
  const all = [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
  all.forEach((word, i) => {
    bytes[2 * i] = word >> 8;
    bytes[2 * i + 1] = word & 255;
  });
  return bytes;
}

/** Of "203.0.113.9:443", "[2001:db8::1]:443", or an address alone when there need be no port. */
export function parseEndpoint(text: string, flag: string, needsPort: boolean): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^[\]:]+)|([0-9a-fA-F:.]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const bracketed = match?.[1] ?? match?.[2];
  const alone = isIP(text.trim()) === 6 ? text.trim() : undefined;
  const address = alone ?? bracketed ?? '';
  const port = alone === undefined && match?.[4] !== undefined ? Number(match[4]) : undefined;
  if (isIP(address) === 0) {
    throw usageError(
      `${flag}: "${text}" is no address, such as 203.0.113.9:443 or [2001:db8::9]:443`,
    );
  }
  if (port !== undefined && (port < 1 || port > 65535)) {
    throw usageError(`${flag}: port ${port} is not from 1 to 65535`);
  }
  if (needsPort && port === undefined) {
    throw usageError(`${flag}: "${text}" lacks a port, such as in 203.0.113.9:443`);
  }
  return { address, port: port ?? 0 };
}
