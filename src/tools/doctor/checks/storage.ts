import path from 'node:path';
import { type Finding, Findings } from '../finding.js';
import { edit, type Machine, type Probe } from '../probe.js';

/** A record, its share of the tree, and the copy that a commit makes, in round figures. */
const BYTES_PER_SESSION = 2_000;
const FREE_MIN = 256 * 2 ** 20;
/** File systems whose locks or memory maps are not what the store relies on. */
const REMOTE = ['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'fuse.sshfs'];

/** The data folder: writable, nobody else's, room, and on a file system that keeps it. */
export function checkStorage(machine: Machine): Finding[] {
  const { probe, config, runningPid } = machine;
  const findings = new Findings('storage');
  const folder = config.store.path;
  const there = nearestFolder(probe, folder);
  if (runningPid !== undefined) {
    findings.ok(`${folder} is in use by the running node (process ${runningPid})`);
  }
  if (!probe.writable(there)) {
    findings.error(
      there === folder ? `${folder} is not writable` : `${folder} can't be made in ${there}`,
      'the node refuses to start',
      `sudo install -d -o $(id -un) ${folder}`,
    );
  } else {
    findings.ok(there === folder ? `${folder} is writable` : `${folder} will be made`);
  }
  roomFinding(findings, machine, there);
  systemFinding(findings, machine, there);
  return findings.all;
}

/** The folder itself or the nearest above it that is there. */
function nearestFolder(probe: Probe, folder: string): string {
  let at = folder;
  while (!probe.exists(at) && at !== path.dirname(at)) at = path.dirname(at);
  return at;
}

function roomFinding(findings: Findings, machine: Machine, folder: string): void {
  const { probe, config } = machine;
  const free = probe.freeBytes(folder);
  if (free === undefined) return;
  const all = config.limits.sessions * BYTES_PER_SESSION;
  const text = `${gigabytes(free)} are free for ${config.store.path}`;
  if (free < FREE_MIN) {
    findings.error(text, 'sessions can not be stored, and are refused', usage(folder));
  } else if (free < all) {
    findings.warning(
      `${text}; ${config.limits.sessions.toLocaleString('en-US')} sessions take up to ${gigabytes(all)}`,
      'when the disk is full new sessions are refused',
      usage(folder),
    );
  } else {
    findings.ok(text);
  }
}

function usage(folder: string): string {
  return `du -xh --max-depth=2 ${folder} | sort -h | tail   # says what takes the room`;
}

function systemFinding(findings: Findings, machine: Machine, folder: string): void {
  const mounts = (machine.probe.read('/proc/mounts') ?? '')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, on = '']) => on === '/' || folder === on || folder.startsWith(`${on}/`))
    .sort(([, a = ''], [, b = '']) => b.length - a.length);
  const type = mounts[0]?.[2] ?? '';
  if (type === 'tmpfs' || type === 'ramfs') {
    findings.warning(
      `${machine.config.store.path} is in memory (${type})`,
      'sessions survive a restart of the node, not of the machine',
      edit(machine, 'store.path: /var/lib/sluice'),
    );
  } else if (REMOTE.includes(type)) {
    findings.warning(
      `${machine.config.store.path} is on a file system of the network (${type})`,
      'the store is mapped into memory: a lost connection ends the node or tears the store',
      edit(machine, 'store.path: /var/lib/sluice'),
    );
  } else if (type !== '') {
    findings.ok(`the file system is ${type}`);
  }
}

function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
