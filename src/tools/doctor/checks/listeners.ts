import { isIPv6 } from 'node:net';
import { type Config, parseListen } from '../../../base/config/config.js';
import { type Finding, Findings } from '../finding.js';
import { edit, type Machine, type Probe } from '../probe.js';

type Family = 'tcp' | 'udp';

/** A place that the node wants to listen on. */
interface Wanted {
  readonly what: string;
  readonly family: Family;
  readonly host: string;
  readonly port: number;
  /** Where another place is set. */
  readonly setting: string;
}
interface Socket {
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

/** Ports taken: GTP-U, gRPC and HTTP of the configuration, and who has them. */
export function checkListeners(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('ports');
  const sockets = new Map<Family, Socket[]>();
  for (const wanted of wantedOf(config)) {
    if (!sockets.has(wanted.family)) sockets.set(wanted.family, socketsOf(probe, wanted.family));
    const where = `${wanted.host.includes(':') ? `[${wanted.host}]` : wanted.host}:${wanted.port}`;
    const holder = sockets.get(wanted.family)!.find((socket) => clashes(socket, wanted));
    takenFinding(findings, machine, wanted, where, holder && holderOf(probe, holder.inode));
  }
  for (const { what, path } of unixOf(config)) unixFinding(findings, machine, what, path);
  return findings.all;
}

/** Who has a socket: unknown to a user that may not look. */
type Holder = { readonly pid: number; readonly name: string } | 'unknown';

function takenFinding(
  findings: Findings,
  machine: Machine,
  { what, family, setting }: Wanted,
  where: string,
  holder: Holder | undefined,
): void {
  if (holder === undefined) {
    findings.ok(`${what}: ${family.toUpperCase()} ${where} is free`);
  } else if (holder !== 'unknown' && holder.pid === machine.runningPid) {
    findings.ok(
      `${what}: ${family.toUpperCase()} ${where} is the running node's (process ${holder.pid})`,
    );
  } else {
    const who = holder === 'unknown' ? 'another process' : `${holder.name} (process ${holder.pid})`;
    findings.error(
      `${what}: ${family.toUpperCase()} ${where} is taken by ${who}`,
      'the node refuses to start',
      holder === 'unknown'
        ? `sudo ss -lp${family === 'tcp' ? 't' : 'u'}n   # names the process`
        : `kill ${holder.pid}   # or ${edit(machine, setting)}`,
    );
  }
}

function wantedOf(config: Config): Wanted[] {
  const wanted: Wanted[] = [];
  for (const port of config.ports.filter(({ driver }) => driver === 'socket')) {
    for (const host of port.addresses) {
      const setting = `ports: ${port.name}: udpPort`;
      wanted.push({
        what: `GTP-U of ${port.name}`,
        family: 'udp',
        host,
        port: port.udpPort,
        setting,
      });
    }
  }
  for (const [what, listen, setting] of [
    ['gRPC', config.api.listen, 'api.listen'],
    ['HTTP', config.http.listen, 'http.listen'],
  ] as const) {
    const address = parseListen(listen);
    if (address?.kind !== 'tcp' || address.port === 0) continue;
    wanted.push({ what, family: 'tcp', host: address.host, port: address.port, setting });
  }
  return wanted;
}

function clashes(socket: Socket, { host, port }: Wanted): boolean {
  const any = (text: string) => text === '0.0.0.0' || text === '::';
  const name = host === 'localhost' ? '127.0.0.1' : host;
  if (socket.port !== port) return false;
  return socket.host === name || any(socket.host) || any(name);
}

/** Listening TCP sockets, or bound UDP ones, of /proc/net. */
function socketsOf(probe: Probe, family: Family): Socket[] {
  const sockets: Socket[] = [];
  for (const file of [`/proc/net/${family}`, `/proc/net/${family}6`]) {
    for (const line of (probe.read(file) ?? '').split('\n').slice(1)) {
      const words = line.trim().split(/\s+/);
      const [, local = '', , state, , , , , , inode = ''] = words;
      const [address = '', port = ''] = local.split(':');
      if (port === '' || (family === 'tcp' && state !== '0A')) continue;
      sockets.push({ host: addressText(address), port: Number.parseInt(port, 16), inode });
    }
  }
  return sockets;
}

/** Of the kernel's hexadecimal: 32-bit words, each in this machine's (little-endian) order. */
export function addressText(hexadecimal: string): string {
  const bytes = [...(hexadecimal.match(/.{8}/g) ?? [])].flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16),
  );
  const text = groups.join(':');
  // The way in which people and Node write it.
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}

function holderOf(probe: Probe, inode: string): Holder {
  for (const pid of probe.list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of probe.list(`/proc/${pid}/fd`)) {
      if (probe.link(`/proc/${pid}/fd/${fd}`) !== `socket:[${inode}]`) continue;
      return {
        pid: Number(pid),
        name: (probe.read(`/proc/${pid}/comm`) ?? '').trim() || 'a process',
      };
    }
  }
  return 'unknown';
}

function unixOf(config: Config): { what: string; path: string }[] {
  return [
    { what: 'gRPC', listen: config.api.listen },
    { what: 'HTTP', listen: config.http.listen },
  ].flatMap(({ what, listen }) => {
    const address = parseListen(listen);
    return address?.kind === 'unix' ? [{ what, path: address.path }] : [];
  });
}

function unixFinding(findings: Findings, machine: Machine, what: string, path: string): void {
  const { probe, runningPid } = machine;
  // Num RefCount Protocol Flags Type St Inode Path; the flag says that it listens.
  const row = (probe.read('/proc/net/unix') ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((words) => words[7] === path && words[3] === '00010000');
  const folder = path.slice(0, path.lastIndexOf('/')) || '/';
  if (row !== undefined) {
    const holder = holderOf(probe, row[6] ?? '');
    if (holder !== 'unknown' && holder.pid === runningPid) {
      findings.ok(`${what}: ${path} is the running node's (process ${holder.pid})`);
      return;
    }
    const who = holder === 'unknown' ? 'another process' : `${holder.name} (process ${holder.pid})`;
    const mend = holder === 'unknown' ? 'sudo ss -lpx   # names the process' : `kill ${holder.pid}`;
    findings.error(`${what}: ${path} is taken by ${who}`, 'the node refuses to start', mend);
  } else if (!probe.writable(folder)) {
    findings.error(
      `${what}: a socket can't be made in ${folder}`,
      'the node refuses to start',
      `install -d -o $(id -un) ${folder}`,
    );
  } else {
    findings.ok(`${what}: ${path} is free`);
  }
}
