/**
 * A small gNB with its UEs, each in a network namespace of its own. Packets are moved by
 * a native thread (native/gnb); this side sets up, watches and takes down.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type GnbCounters,
  gnbAddon,
  type NativeGnb,
  type NativeLoad,
  type NativeUe,
} from './gnb-addon.js';
import { ToolError, usageError } from './tool-error.js';
import { UeNamespace } from './ue-namespace.js';
import type { UeSession } from './ue-session.js';

export const GTPU_PORT = 2152;
/** Leaves room for the tunnel of either family on a 1500-byte link. */
export const DEFAULT_UE_MTU = 1400;
const ECHO_WAIT_MS = 1000;
const POLL_MS = 20;

export interface GnbOptions {
  /** Where the gNB listens; by default where the sessions send to. */
  readonly bind?: string;
  readonly mtu: number;
}

export class Gnb {
  private constructor(
    private readonly native: NativeGnb,
    readonly bind: string,
    readonly namespaces: readonly UeNamespace[],
  ) {}

  /** A gNB whose UEs live in namespaces. Needs root. */
  static async withUes(sessions: readonly UeSession[], options: GnbOptions): Promise<Gnb> {
    requireRoot();
    const bind = options.bind ?? bindAddress(sessions);
    const namespaces: UeNamespace[] = [];
    try {
      for (const session of sessions) {
        namespaces.push(await UeNamespace.create(session, options.mtu));
      }
      const ues = sessions.map((session, i) => nativeUe(session, namespaces[i]?.tunFd ?? -1));
      return new Gnb(openNative(bind, ues), bind, namespaces);
    } catch (error) {
      for (const namespace of namespaces) await namespace.remove();
      throw error;
    }
  }

  /** A gNB that only sends load; needs no privilege. */
  static forLoad(sessions: readonly UeSession[], bind?: string): Gnb {
    const address = bind ?? bindAddress(sessions);
    const ues = sessions.map((session) => nativeUe(session, -1));
    return new Gnb(openNative(address, ues), address, []);
  }

  counters(): GnbCounters {
    return this.native.counters();
  }

  /** Whether a UPF answers GTP-U Echo within a second. */
  async upfAnswers(): Promise<boolean> {
    this.native.echo();
    for (let waited = 0; waited < ECHO_WAIT_MS; waited += POLL_MS) {
      if (this.native.counters().echoResponses > 0) return true;
      await sleep(POLL_MS);
    }
    return false;
  }

  /** Sends a load to its end, or until `signal` aborts; returns the counters after it. */
  async load(load: NativeLoad, signal: AbortSignal): Promise<GnbCounters> {
    callNative(() => this.native.load(load));
    while (this.native.counters().loadRunning && !signal.aborted) await sleep(POLL_MS);
    this.native.stopLoad();
    return this.native.counters();
  }

  async stop(): Promise<void> {
    this.native.stop();
    for (const namespace of this.namespaces) await namespace.remove();
  }
}

/** Runs a command inside a namespace with this terminal; resolves to its exit code. */
export function runInNamespace(namespace: string, command: readonly string[]): Promise<number> {
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both; the command decides, and we clean up after it.
  const forward = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT') child.kill(signal);
  };
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new ToolError(`cannot run ip: ${error.message}`)));
    child.on('exit', (code, signal) => {
      process.off('SIGINT', forward);
      process.off('SIGTERM', forward);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

function requireRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new ToolError('UEs live in network namespaces, which need root: run it with sudo');
  }
}

/** The one gNB address that all sessions send to. */
function bindAddress(sessions: readonly UeSession[]): string {
  const addresses = [...new Set(sessions.map((session) => session.gnbAddress))];
  const [address] = addresses;
  if (address === undefined) throw usageError('no session to serve');
  if (addresses.length > 1) {
    throw usageError(
      `these sessions send to several gNBs (${addresses.join(', ')}); start one gNB for each`,
    );
  }
  return address;
}

function nativeUe(session: UeSession, tunFd: number): NativeUe {
  const { gnbTeid, upfTeid, upfAddress, qfi, ipv4, ipv6 } = session;
  return { tunFd, gnbTeid, upfTeid, upfAddress, qfi, ipv4, ipv6 };
}

function openNative(bind: string, ues: readonly NativeUe[]): NativeGnb {
  const { Gnb: Native } = gnbAddon();
  return callNative(() => new Native({ bind, port: GTPU_PORT, ues }));
}

/** Native errors carry a field; people get the sentence. */
function callNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new ToolError((error as Error).message);
  }
}
