/** One `sluice serve` in the lab's UPF namespace, its API, and gNBs that use it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiClient } from '../../src/cli/api/client.js';
import type { Session, Stats } from '../../src/cli/api/messages.js';
import { countsOf } from '../../src/cli/node-commands.js';
import {
  type SessionFlags,
  sessionFromFlags,
  withoutOutputs,
} from '../../src/cli/session/flags.js';
import type { PacketCounts } from '../../src/tools/packet-counts.js';
import {
  addresses,
  type Finished,
  type Lab,
  type LabProcess,
  type Place,
  sluiceCommand,
} from './lab.js';

export interface UpfOptions {
  readonly name?: string;
  readonly workers?: number;
  readonly durability?: 'async' | 'sync';
  /** Largest outer packet on N3; 0: no limit. */
  readonly accessMtu?: number;
  /** Keys of `gtpu`. By default no Echo Request: tests count packets, and it comes at any time. */
  readonly gtpu?: Readonly<Record<string, number>>;
  /** 65,536 unless told. */
  readonly sessions?: number;
  /** Keys of `n4`. By default it listens where nobody asks, and asks nobody. */
  readonly n4?: Readonly<Record<string, unknown>>;
  /** A second N6, of the network instance "ims", with the same pools. */
  readonly ims?: boolean;
  /** 9090 unless told: where two share a place. */
  readonly httpPort?: number;
  /** Where it runs; in the UPF's namespace unless told. */
  readonly place?: Place;
  /** N3 takes ESP in UDP too. */
  readonly espInUdp?: boolean;
  /** inline unless told. */
  readonly crypto?: 'inline' | 'lanes';
  /** In place of N3 and N6: what `ports` has, as JSON. */
  readonly ports?: readonly object[];
}

export class Upf {
  readonly api: string;
  readonly client: ApiClient;
  readonly configFile: string;
  private process: LabProcess | undefined;
  private gnbs: LabProcess[] = [];

  constructor(
    private readonly lab: Lab,
    private readonly options: UpfOptions = {},
  ) {
    const name = options.name ?? 'upf';
    // A socket in the file system is reached from every network namespace.
    this.api = `unix:${join(lab.folder, `${name}.sock`)}`;
    this.configFile = join(lab.folder, `${name}.yaml`);
    writeFileSync(this.configFile, configText(this.api, join(lab.folder, `${name}-data`), options));
    this.client = new ApiClient({ api: this.api });
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<LabProcess> {
    const command = [sluiceCommand, 'serve', '-c', this.configFile];
    const options = { env: { ...globalThis.process.env, ...env } };
    const process = this.lab.start(this.options.place ?? 'upf', command, options);
    this.process = process;
    await process.printed(/^ready/m);
    return process;
  }

  get running(): boolean {
    return this.process?.running === true;
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    if (this.process === undefined) throw new Error('not started');
    return this.process.end(signal);
  }

  signal(signal: NodeJS.Signals): void {
    this.process?.child.kill(signal);
  }

  /** Waits until its log has a text. */
  async logged(text: string): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (this.process?.stderr.includes(text) !== true) {
      if (Date.now() > deadline) throw new Error(`never logged ${text}:\n${this.process?.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Makes a session of flags, changed by `change` before it is sent. */
  create(flags: SessionFlags, change?: (session: Session) => void): Promise<Session> {
    const session = sessionFromFlags({ gnb: addresses.gnb, ...flags });
    change?.(session);
    return this.client.call<Session>('SessionService', 'CreateSession', { session });
  }

  /** Changes a session as the server returned it. */
  async update(
    session: Session,
    change: (session: Session) => void,
    flags: { send_end_markers?: boolean; drop_buffered?: boolean } = {},
  ): Promise<void> {
    const changed = withoutOutputs(structuredClone(session));
    change(changed);
    const request = { session: changed, expected_revision: '0', ...flags };
    await this.client.call('SessionService', 'UpdateSession', request);
  }

  async remove(name: string) {
    type Reply = { usage?: { uplink_bytes?: string; downlink_bytes?: string }[] };
    return this.client.call<Reply>('SessionService', 'DeleteSession', { name });
  }

  async counts(): Promise<PacketCounts> {
    return countsOf(await this.stats());
  }

  stats(): Promise<Stats> {
    return this.client.call<Stats>('NodeService', 'GetStats', {});
  }

  /** Packets received on N3. */
  async receivedOnN3(): Promise<number> {
    const { ports = [] } = await this.stats();
    return Number(ports.find((port) => port.name === 'n3')?.rx_packets ?? 0);
  }

  /** Runs the command line against this UPF; rejects on a non-zero exit unless told not to. */
  sluice(args: readonly string[], place: Place = 'ran', check = true): Promise<Finished> {
    return this.lab.run(place, [sluiceCommand, '--api', this.api, ...args], check);
  }

  /** A gNB with UEs that stays up until it is ended; their places are "ue:NAME". */
  async gnb(...names: string[]): Promise<LabProcess> {
    const command = [sluiceCommand, 'gnb', 'up', '--api', this.api, '--mtu', '1500'];
    const gnb = this.lab.start('ran', [...command, '--session', ...names]);
    this.gnbs.push(gnb);
    await gnb.printed(/^ready/m);
    return gnb;
  }

  /** After a test that may have failed: no gNB of it is in the way of the next. */
  async endGnbs(): Promise<void> {
    const gnbs = this.gnbs;
    this.gnbs = [];
    for (const gnb of gnbs) await gnb.end();
  }
}

/**
 * Pings until `count` answers came, for at most 10 s. Without the deadline ping leaves two round
 * trips after its last request, which on a busy machine is before the answers are there.
 */
export function pingFor(count: number, target: string): string[] {
  return ['ping', '-c', String(count), '-i', '0.05', '-w', '10', target];
}

/** Answers that ping had, by what it printed at its end; -1 when it printed nothing such. */
export function answersOf(ping: Finished): number {
  return Number(/(\d+) received/.exec(ping.stdout)?.[1] ?? -1);
}

/** What N6 brings by itself: multicast of the kernel, and servers that answer a UE that left. */
const STRAYS = ['multicast', 'unknown_ue'];

/** Drops apart from the strays of N6. */
export function losses(dropped: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(dropped).filter(([why]) => !STRAYS.includes(why)));
}

function configText(api: string, data: string, options: UpfOptions): string {
  return `
node: { id: ${options.name ?? 'upf'} }
api: { listen: "${api}" }
http: { listen: "127.0.0.1:${options.httpPort ?? 9090}" }
store: { path: "${data}", durability: ${options.durability ?? 'async'} }
workers: { count: ${options.workers ?? 1}, poll: adaptive }
limits: { sessions: ${options.sessions ?? 65536} }
crypto: ${options.crypto ?? 'inline'}
n4: ${JSON.stringify(options.n4 ?? {})}
gtpu: ${JSON.stringify({ echoIntervalSeconds: 0, ...options.gtpu })}
ports: ${options.ports === undefined ? portsText(options) : JSON.stringify(options.ports)}
`;
}

function portsText(options: UpfOptions): string {
  return `
  - name: n3
    driver: socket
    role: access
    addresses: ["${addresses.upfN3}", "${addresses.upfN3v6}"]
    mtu: ${options.accessMtu ?? 0}
    espInUdp: ${options.espInUdp === true}
${corePort('n6', 'sluice0', 'internet')}${options.ims === true ? corePort('ims', 'sluice1', 'ims') : ''}`;
}

function corePort(name: string, device: string, networkInstance: string): string {
  return `
  - name: ${name}
    driver: tun
    role: core
    device: ${device}
    networkInstances: [${networkInstance}]
    uePools: ["${addresses.uePool}", "${addresses.uePoolV6}"]
`;
}
