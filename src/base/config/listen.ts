import { isIP } from 'node:net';
import path from 'node:path';

/** Where a server listens: a TCP address or a unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export const LISTEN_FORMS = 'host:port, [v6]:port or unix:/path';
/** sun_path is 108 bytes with its terminator. */
const UNIX_PATH_MAX = 107;

/** "127.0.0.1:50051", "localhost:50051", "[::1]:50051" or "unix:/run/sluice.sock". */
export function parseListen(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    // gRPC also writes unix:///absolute.
    const name = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    const fits = name !== '' && Buffer.byteLength(path.resolve(name)) <= UNIX_PATH_MAX;
    return fits && !name.includes('\0') ? { kind: 'unix', path: name } : undefined;
  }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, v6, name, digits] = match;
  const port = Number(digits);
  const host = v6 ?? name ?? '';
  const good = v6 === undefined ? isIP(host) === 4 || isHostName(host) : isIP(host) === 6;
  return good && port <= 65_535 ? { kind: 'tcp', host, port } : undefined;
}

/** Of an address that passed the checks. */
export function listenOf(text: string): ListenAddress {
  const address = parseListen(text);
  if (address === undefined) throw new Error(`${text} passed the checks but is no address`);
  return address;
}

/** As {@link parseListen}, but only an address and a port. */
export function isSocketAddress(text: string): boolean {
  const address = parseListen(text);
  return address?.kind === 'tcp' && isIP(address.host) !== 0;
}

function isHostName(host: string): boolean {
  // All digits and dots would be a mistyped IPv4 address.
  return (
    host.length <= 253 &&
    !/^[\d.]+$/.test(host) &&
    /^(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*$/.test(host)
  );
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** "host:port" with brackets where IPv6 needs them, or "unix:/path". */
export function listenText(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return isIP(address.host) === 6
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}
