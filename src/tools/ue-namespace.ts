/**
 * A network namespace that is one UE: a TUN device with the UE's addresses and default
 * route, and nothing else. Made with iproute2, so that `ip netns exec` works on it too.
 * A note under /run/sluice says which process owns it; what a killed process left behind
 * is removed by the next one that wants the same name.
 */
import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gnbAddon } from './gnb-addon.js';
import { ToolError } from './tool-error.js';
import type { UeSession } from './ue-session.js';

const OWNERS = '/run/sluice/ue';
const DEVICE = 'ue0';
const run = promisify(execFile);
let devices = 0;

/** Runs `ip` with arguments; a failure carries its own words. */
async function ip(args: readonly string[]): Promise<void> {
  try {
    await run('ip', args);
  } catch (error) {
    const { code, stderr } = error as { code?: string | number; stderr?: string };
    if (code === 'ENOENT') throw new ToolError('the program "ip" is missing; install iproute2');
    throw new ToolError(`ip ${args.join(' ')}: ${(stderr ?? '').trim() || 'failed'}`);
  }
}

/** Field 22 of /proc/PID/stat: tells a process from a later one with the same number. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function ownerOf(file: string): number | undefined {
  try {
    const { pid, start } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; start: string };
    return startTime(pid) === start ? pid : undefined;
  } catch {
    return undefined;
  }
}

export class UeNamespace {
  private constructor(
    readonly name: string,
    private readonly ownerFile: string,
    /** Descriptor of the TUN device; the gNB takes it over. */
    readonly tunFd: number,
  ) {}

  /** Makes the namespace of a session. Needs root. */
  static async create(session: UeSession, mtu: number): Promise<UeNamespace> {
    const name = `sluice-ue-${session.name}`;
    const ownerFile = join(OWNERS, `${session.name}.json`);
    await claim(name, ownerFile);
    const device = `sl${process.pid.toString(36)}u${devices}`;
    devices += 1;
    let tunFd = -1;
    try {
      await ip(['netns', 'add', name]);
      tunFd = openTun(device);
      await ip(['link', 'set', 'dev', device, 'netns', name, 'name', DEVICE]);
      await configure(name, session, mtu);
      return new UeNamespace(name, ownerFile, tunFd);
    } catch (error) {
      if (tunFd >= 0) closeSync(tunFd);
      await removeNamespace(name, ownerFile);
      throw error;
    }
  }

  async remove(): Promise<void> {
    await removeNamespace(this.name, this.ownerFile);
  }
}

function openTun(device: string): number {
  try {
    return gnbAddon().openTun(device);
  } catch (error) {
    throw error instanceof ToolError ? error : new ToolError((error as Error).message);
  }
}

/** Takes the name, or says who has it; leftovers of a process that is gone are removed. */
async function claim(name: string, ownerFile: string): Promise<void> {
  mkdirSync(OWNERS, { recursive: true });
  const mine = JSON.stringify({ pid: process.pid, start: startTime(process.pid) });
  try {
    writeFileSync(ownerFile, mine, { flag: 'wx' });
  } catch {
    const owner = ownerOf(ownerFile);
    if (owner !== undefined) {
      throw new ToolError(`namespace ${name} is in use by another gNB (process ${owner})`);
    }
    writeFileSync(ownerFile, mine);
  }
  if (existsSync(join('/run/netns', name))) await ip(['netns', 'delete', name]);
}

async function removeNamespace(name: string, ownerFile: string): Promise<void> {
  if (existsSync(join('/run/netns', name))) await ip(['netns', 'delete', name]).catch(() => {});
  rmSync(ownerFile, { force: true });
}

async function configure(name: string, session: UeSession, mtu: number): Promise<void> {
  const inside = ['-n', name];
  await ip([...inside, 'link', 'set', 'lo', 'up']);
  // No link-local address and no multicast: a UE that says nothing by itself makes
  // counts come out even.
  await ip([...inside, 'link', 'set', DEVICE, 'addrgenmode', 'none', 'multicast', 'off']);
  await ip([...inside, 'link', 'set', DEVICE, 'mtu', String(mtu), 'up']);
  if (session.ipv4 !== '') {
    await ip([...inside, 'address', 'add', `${session.ipv4}/32`, 'dev', DEVICE]);
    await ip([...inside, '-4', 'route', 'add', 'default', 'dev', DEVICE]);
  }
  if (session.ipv6 !== '') {
    await ip([...inside, 'address', 'add', `${session.ipv6}/64`, 'dev', DEVICE, 'nodad']);
    await ip([...inside, '-6', 'route', 'add', 'default', 'dev', DEVICE]);
  }
}
