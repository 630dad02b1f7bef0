/** For tests: an engine on a packet path and a store in memory, and sessions by a few words. */
import type { Clock } from '../base/clock.js';
import { Refusal } from '../base/errors.js';
import { MemoryDatapath } from '../datapath/memory-datapath.js';
import { pdrCount, pdrsAt, RecordBuffer } from '../model/record.js';
import * as layout from '../model/record-layout.js';
import { encodeMessage, type Message, sampleSession } from '../model/sample.fixture.js';
import { SessionDecoder } from '../model/session-decode.js';
import { MemoryStore, MemoryStoreContents } from '../store/memory.js';
import type { EnginePort, RecordWords } from './engine.js';
import { EngineCore } from './engine-core.js';
import { loadIdentity } from './identity.js';

export const OWNER = 'grpc:test';

export const PORTS: readonly EnginePort[] = [
  {
    name: 'n3',
    role: 'access',
    addresses: ['192.0.2.1', '2001:db8::1'],
    networkInstances: ['*'],
    uePools: [],
  },
  {
    name: 'n6',
    role: 'core',
    addresses: [],
    networkInstances: ['internet'],
    uePools: ['10.60.0.0/16', 'fd00:60::/40'],
  },
  {
    name: 'ims',
    role: 'core',
    addresses: [],
    networkInstances: ['ims'],
    uePools: ['10.60.0.0/29'],
  },
];

export interface Bench {
  readonly engine: EngineCore;
  readonly datapath: MemoryDatapath;
  readonly store: MemoryStore;
}

/** An engine on what a store holds; the one before on the same contents is to be gone. */
export async function startEngine(
  contents = new MemoryStoreContents(),
  options: {
    sessionsMax?: number;
    ports?: readonly EnginePort[];
    reportsMax?: number;
    /** The packet path of the engine before, whose process was killed. */
    killed?: MemoryDatapath;
    now?: Clock;
  } = {},
): Promise<Bench> {
  const store = new MemoryStore(contents);
  const datapath = new MemoryDatapath(options.killed);
  const sessionsMax = options.sessionsMax ?? 10_000;
  const engine = new EngineCore({
    datapath,
    store,
    identity: await loadIdentity(store, sessionsMax),
    ports: options.ports ?? PORTS,
    sessionsMax,
    ...(options.now === undefined ? {} : { now: options.now }),
    ...(options.reportsMax === undefined ? {} : { reportsMax: options.reportsMax }),
  });
  await engine.restore();
  datapath.start();
  return { engine, datapath, store };
}

const scratch = new RecordBuffer();
const refusal = new Refusal();
const decoder = new SessionDecoder(scratch, refusal);

/** The record of a Session message, in a scratch that the next call overwrites. */
export function recordOf(message: Message): RecordWords {
  const bytes = encodeMessage('Session', message);
  if (!decoder.decode(bytes, 0, bytes.length)) throw refusal.toError();
  scratch.words[layout.HEADER_SEID_LOW] = decoder.seidLow;
  scratch.words[layout.HEADER_SEID_HIGH] = decoder.seidHigh;
  return scratch;
}

export interface Shape {
  readonly name?: string;
  readonly seid?: string;
  /** Per uplink PDR: its F-TEID. */
  readonly fTeids?: readonly Message[];
  readonly ueAddress?: Message;
  readonly instance?: string;
  readonly urrs?: readonly Message[];
}

/** Uplink PDRs with these F-TEIDs and one downlink PDR. */
export function session(shape: Shape = {}): Message {
  const fTeids = shape.fTeids ?? [{ choose_id: 1 }];
  const instance = shape.instance ?? 'internet';
  const base = sampleSession(shape.name ?? 'ue-1');
  const urrs = shape.urrs ?? [{ id: 1, measure_volume: true }];
  const urrIds = urrs.map((urr) => urr.id);
  const uplink = fTeids.map((fTeid, i) => ({
    id: i + 1,
    precedence: 100 + i,
    pdi: {
      source_interface: 'INTERFACE_ACCESS',
      network_instance: 'access',
      local_f_teid: fTeid,
    },
    outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU',
    far_id: 1,
    urr_ids: urrIds,
  }));
  const downlink = {
    id: fTeids.length + 1,
    precedence: 200,
    pdi: {
      source_interface: 'INTERFACE_CORE',
      network_instance: instance,
      ue_address: shape.ueAddress ?? { ipv4: 'auto' },
    },
    far_id: 2,
    urr_ids: urrIds,
  };
  const forward = { destination_interface: 'INTERFACE_CORE', network_instance: instance };
  const message: Message = {
    ...base,
    pdn_type: 'PDN_TYPE_IPV4V6',
    pdrs: [...uplink, downlink],
    fars: [{ id: 1, forward }, (base.fars as Message[])[1]],
    qers: [],
    urrs,
  };
  if (shape.name === '') delete message.name;
  if (shape.seid !== undefined) message.seid = shape.seid;
  return message;
}

/** What tests look at in a record. */
export function teidsOf(words: Uint32Array): number[] {
  const teids: number[] = [];
  for (let i = 0, at = pdrsAt(0); i < pdrCount(words, 0); i++, at += layout.PDR_WORDS) {
    if ((words[at + layout.PDR_F_TEID]! & layout.F_TEID_PRESENT) !== 0) {
      teids.push(words[at + layout.PDR_TEID]!);
    }
  }
  return teids;
}
export function ueIpv4Of(words: Uint32Array): string {
  const address = words[layout.HEADER_UE_IPV4]!;
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}
export function seidOf(words: Uint32Array): bigint {
  const high = BigInt(words[layout.HEADER_SEID_HIGH]!);
  return (high << 32n) | BigInt(words[layout.HEADER_SEID_LOW]!);
}

/** Everything that a session leaves behind while it exists; equal to that of an empty engine. */
export function footprint({ engine, datapath, store }: Bench) {
  return {
    sessions: engine.count,
    slots: engine.table.slots.live,
    names: engine.table.names.size,
    slabRecords: engine.slab.records,
    slabBytes: engine.slab.bytesUsed,
    slabPages: engine.slab.pagesUsed,
    teids: engine.choices.registry.size,
    addressesFree: engine.choices.networks.pools.map((pool) => pool.free),
    waiting: engine.statistics().operationsWaiting,
    keys: datapath.keysHeld,
    prepared: datapath.preparedHeld,
    live: datapath.sessions.size,
    stored: store.contents.records.size,
  };
}
