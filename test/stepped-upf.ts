/**
 * A whole UPF in this process, but for the sockets: the session engine on the native packet
 * path, without threads, with memory ports and a clock that moves when a test says so. Sessions
 * are written as in the API's JSON. {@link SteppedUpf.restart} ends it, cleanly or at once, and
 * starts another on the same store.
 */
import { Refusal } from '../src/base/errors.js';
import { ProtoJson } from '../src/cli/api/proto-json.js';
import {
  type DatapathPortConfig,
  EVENT_WORDS,
  type GtpuConfig,
  type HoldConfig,
  type IpPolicy,
  type ReassemblyLimits,
} from '../src/datapath/datapath.js';
import { createSteppedDatapath } from '../src/datapath/native.js';
import { PacketExchange, type SteppedDatapath } from '../src/datapath/packet-exchange.js';
import { RecordBuffer } from '../src/model/record.js';
import * as layout from '../src/model/record-layout.js';
import { encodeMessage, type Message, protoTypes } from '../src/model/sample.fixture.js';
import { SessionDecoder } from '../src/model/session-decode.js';
import { RecordValidator } from '../src/model/validate.js';
import type { Report, ReportReader, SessionKey, UpdateOptions } from '../src/session/engine.js';
import { EngineCore } from '../src/session/engine-core.js';
import { loadIdentity } from '../src/session/identity.js';
import { MemoryStore, MemoryStoreContents } from '../src/store/memory.js';
import { KeptMemory } from './kept-memory.js';

export const OWNER = 'grpc:test';
const PACKETS_MAX = 8_192;
const HELD_MS = 60_000;
/** Usage of one read of the log. */
const REPORTS_PER_READ = 4_096;

/** A port in few words; what is left out is as in the configuration's defaults. */
export type PortWords = Pick<DatapathPortConfig, 'name' | 'role'> & Partial<DatapathPortConfig>;

/** N3 with an IPv4 and an IPv6 address, and two data networks whose pools overlap. */
export const USUAL_PORTS: readonly PortWords[] = [
  { name: 'n3', role: 'access', addresses: ['10.0.0.1', 'fd00::1'], networkInstances: ['*'] },
  {
    name: 'n6',
    role: 'core',
    networkInstances: ['internet'],
    uePools: ['10.60.0.0/16', 'fd00:60::/40'],
  },
  { name: 'ims', role: 'core', networkInstances: ['ims'], uePools: ['10.60.0.0/16'] },
];

export interface UpfOptions {
  readonly ports?: readonly PortWords[];
  readonly sessionsMax?: number;
  /** Absent: as many as packetsMax by default, for a minute. */
  readonly hold?: HoldConfig;
  /** Absent: Echo Requests are answered, nothing else. */
  readonly gtpu?: GtpuConfig;
  readonly policy?: IpPolicy;
  readonly reassembly?: ReassemblyLimits;
  readonly packetsMax?: number;
  /** Usage outlives a restart, as with a data folder; {@link SteppedUpf.stop} clears up. */
  readonly survives?: boolean;
  /** Nanoseconds since 1970 at which the clock starts. */
  readonly startNs: number;
}

/** Records as words, from an index of EVENT_WORDS entries each. */
export interface Changed {
  readonly record: Uint32Array;
  readonly usage: Uint32Array;
}

interface Running {
  readonly engine: EngineCore;
  readonly datapath: SteppedDatapath;
  readonly packets: PacketExchange;
  readonly reader: ReportReader;
}

const json = new ProtoJson(protoTypes);
const scratch = new RecordBuffer();
const refusal = new Refusal();
const decoder = new SessionDecoder(scratch, refusal);
const validator = new RecordValidator(refusal);

export class SteppedUpf {
  readonly #contents = new MemoryStoreContents();
  readonly #kept: KeptMemory | undefined;
  #running!: Running;
  /** Where the clock stands; moved by {@link send} and {@link pass}. */
  nowNs: number;

  private constructor(private readonly options: UpfOptions) {
    this.nowNs = options.startNs;
    this.#kept = options.survives === true ? new KeptMemory() : undefined;
  }

  static async start(options: UpfOptions): Promise<SteppedUpf> {
    const upf = new SteppedUpf(options);
    await upf.#start();
    return upf;
  }

  get engine(): EngineCore {
    return this.#running.engine;
  }
  get datapath(): SteppedDatapath {
    return this.#running.datapath;
  }
  get packets(): PacketExchange {
    return this.#running.packets;
  }
  /** Index of a port by its name. */
  port(name: string): number {
    const index = this.#ports().findIndex((port) => port.name === name);
    if (index < 0) throw new Error(`there is no port "${name}"`);
    return index;
  }

  /** Rejects with a SluiceError when it is refused; text names the field then. */
  async create(session: unknown): Promise<Changed> {
    return this.engine.create(OWNER, this.#record(session));
  }
  async update(session: unknown, options: UpdateOptions = {}): Promise<Changed> {
    return this.engine.update(OWNER, this.#record(session), options);
  }
  delete(key: SessionKey): Promise<Changed> {
    return this.engine.delete(OWNER, key);
  }

  /** Reports since the last call, acknowledged. */
  async reports(): Promise<readonly Report[]> {
    // Reports are offered once they are in the store.
    this.engine.drainEvents();
    await this.engine.reports.whenWritten();
    const reports: Report[] = [];
    for (;;) {
      const read = this.#running.reader.read(REPORTS_PER_READ);
      if (read.length === 0) break;
      reports.push(...read);
    }
    const last = reports.at(-1);
    if (last === undefined) return reports;
    this.#running.reader.acknowledge(last.cursor);
    await new Promise((resolve) => setImmediate(resolve));
    await this.engine.reports.whenWritten();
    return reports;
  }

  /** Packets received and made here, less those sent, held and dropped: 0, always. */
  unaccounted(): number {
    const { ports, created, held, dropped } = this.datapath.statistics();
    const sum = (values: readonly number[]) => values.reduce((total, one) => total + one, 0);
    const received = sum(ports.map((port) => port.rxPackets)) + created;
    return received - sum(ports.map((port) => port.txPackets)) - held - sum(Object.values(dropped));
  }

  /**
   * Ends the node and starts another on what the store has.
   * @param cleanly  as on SIGTERM, so that usage is reported first; else as on SIGKILL.
   * @returns reports that the first one still gave.
   */
  async restart(cleanly: boolean): Promise<readonly Report[]> {
    if (cleanly) await this.engine.shutdown();
    const reports = cleanly ? await this.reports() : [];
    const stop = () => this.datapath.stop();
    if (cleanly || this.#kept === undefined) stop();
    else this.#kept.kill(stop);
    await this.#start();
    return reports;
  }

  stop(): void {
    this.datapath.stop();
    this.#kept?.remove();
  }

  async #start(): Promise<void> {
    const { sessionsMax = 1_000, packetsMax = PACKETS_MAX } = this.options;
    const { hold, gtpu, policy, reassembly } = this.options;
    const survival = this.#kept?.place;
    const store = new MemoryStore(this.#contents);
    const identity = await loadIdentity(store, sessionsMax);
    const ports = this.#ports();
    const datapath = createSteppedDatapath({
      sessionsMax,
      packetsMax,
      hugepages: 'off',
      givenTimeNs: this.nowNs,
      ports,
      hold: hold ?? { packetsMax: PACKETS_MAX, ms: HELD_MS },
      ...(gtpu === undefined ? {} : { gtpu }),
      ...(policy === undefined ? {} : { policy }),
      ...(reassembly === undefined ? {} : { reassembly }),
      ...(survival === undefined ? {} : { survival }),
      ...identity,
    });
    const now = () => Math.floor(this.nowNs / 1e6);
    const engine = new EngineCore({ datapath, store, identity, ports, sessionsMax, now });
    await engine.restore();
    datapath.start();
    const reader = engine.watchReports(OWNER, '', []);
    this.#running = { engine, datapath, packets: new PacketExchange(datapath), reader };
  }

  #ports(): DatapathPortConfig[] {
    return (this.options.ports ?? USUAL_PORTS).map((port) => ({
      driver: 'memory',
      addresses: [],
      networkInstances: [],
      udpPort: 2152,
      sourcePorts: 1,
      device: '',
      mtu: port.role === 'access' ? 0 : 1500,
      uePools: [],
      masquerade: false,
      file: '',
      outputFile: '',
      ...port,
    }));
  }

  #record(session: unknown): RecordBuffer {
    const message = json.fromJson('Session', session) as Message;
    const bytes = encodeMessage('Session', message);
    if (!decoder.decode(bytes, 0, bytes.length)) throw refusal.toError();
    if (!validator.validate(scratch.words, 0)) throw refusal.toError();
    scratch.words[layout.HEADER_SEID_LOW] = decoder.seidLow;
    scratch.words[layout.HEADER_SEID_HIGH] = decoder.seidHigh;
    return scratch;
  }
}

/** Entries of EVENT_WORDS words, one by one. */
export function eventsOf(usage: Uint32Array): Uint32Array[] {
  const events: Uint32Array[] = [];
  for (let at = 0; at < usage.length; at += EVENT_WORDS) {
    events.push(usage.subarray(at, at + EVENT_WORDS));
  }
  return events;
}
