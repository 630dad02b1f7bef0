/**
 * A capture through the whole packet path, offline: the native datapath without threads,
 * pcap ports in the place of sockets, the session engine over a store in memory. Nothing
 * touches the network or a data folder. Start with replay().
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Refusal, SluiceError } from '../../base/errors.js';
import type { Datapath, DatapathPortConfig } from '../../datapath/datapath.js';
import { createNativeDatapath } from '../../datapath/native.js';
import { ProtobufWriter } from '../../model/protobuf.js';
import { RecordBuffer } from '../../model/record.js';
import { SessionDecoder } from '../../model/session-decode.js';
import { encodeSession } from '../../model/session-encode.js';
import { RecordValidator } from '../../model/validate.js';
import type { SessionEngine } from '../../session/engine.js';
import { EngineCore } from '../../session/engine-core.js';
import { loadIdentity } from '../../session/identity.js';
import { MemoryStore } from '../../store/memory.js';
import { type PacketCounts, packetCounts } from '../packet-counts.js';
import { ToolError } from '../tool-error.js';
import type { UeSession } from '../ue-session.js';
import {
  busiestGtpuDestination,
  mergeCaptures,
  type SplitCounts,
  splitCapture,
} from './capture-addon.js';

/** The UPF's N3 address when neither the caller nor the capture knows one (RFC 5737). */
const FALLBACK_N3 = '192.0.2.1';
const UE_POOLS = ['10.60.0.0/16', 'fd00:60::/40'];
const OWNER = 'replay';
const PACKETS = 8192;
/** Longer than captures last between packets of one session. */
const HELD_MS = 60_000;

export interface ReplayRequest {
  readonly input: string;
  /** pcapng to write: interface n3 has what left to gNBs, n6 what left to the data network */
  readonly output?: string;
  /** addresses of the UPF on N3; empty: found in the capture */
  readonly n3: readonly string[];
  /** encoded sluice.v1.Session messages */
  readonly sessions: readonly Uint8Array[];
  /** some session leaves its UE address to the UPF; without, no address is kept for a pool */
  readonly usePools: boolean;
  /** give conversations of strangers to the sessions in turn */
  readonly adopt: boolean;
  /** reads a session as it was created, undefined: nothing can be wrapped into it; the caller
   * knows the API's messages */
  readonly ueSessionOf: (session: Uint8Array) => UeSession | undefined;
}
export interface ReplayResult extends PacketCounts {
  readonly n3: readonly string[];
  readonly capture: SplitCounts;
}

/** Throws {@link ToolError} for a file or a session that is not in order. */
export async function replay(request: ReplayRequest): Promise<ReplayResult> {
  const input = resolve(request.input);
  if (request.output !== undefined && resolve(request.output) === input) {
    throw new ToolError('the output would overwrite the capture; name another file with --out');
  }
  const n3 = request.n3.length > 0 ? request.n3 : [busiestGtpuDestination(input) ?? FALLBACK_N3];
  const folder = mkdtempSync(join(tmpdir(), 'sluice-replay-'));
  try {
    return await replayIn(folder, { ...request, input, n3 });
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    throw new ToolError(error.field === '' ? error.message : `${error.field}: ${error.message}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function replayIn(folder: string, request: ReplayRequest): Promise<ReplayResult> {
  const file = (name: string): string => join(folder, `${name}.pcapng`);
  const ports = [
    portOf('n3', 'access', file('n3-in'), file('n3-out'), { addresses: request.n3 }),
    portOf('n6', 'core', file('n6-in'), file('n6-out'), {
      uePools: request.usePools ? UE_POOLS : [],
    }),
  ];
  const sessionsMax = Math.max(1024, request.sessions.length);
  const store = new MemoryStore();
  const identity = await loadIdentity(store, sessionsMax);
  const datapath = createNativeDatapath({
    sessionsMax,
    packetsMax: PACKETS,
    hold: { packetsMax: PACKETS, ms: HELD_MS },
    hugepages: 'off',
    workers: { count: 0, cores: 'auto', poll: 'adaptive' },
    ports,
    ...identity,
  });
  const engine = new EngineCore({ datapath, store, identity, ports, sessionsMax });
  try {
    await engine.restore();
    const created = await createSessions(engine, request.sessions);
    const capture = splitCapture({
      input: request.input,
      accessOutput: file('n3-in'),
      coreOutput: file('n6-in'),
      n3: request.n3,
      sessions: created.map(request.ueSessionOf).filter((session) => session !== undefined),
      adopt: request.adopt,
    });
    datapath.start();
    run(datapath);
    const counts = packetCounts(datapath.statistics());
    datapath.stop();
    if (request.output !== undefined) {
      mergeCaptures([file('n3-out'), file('n6-out')], ['n3', 'n6'], resolve(request.output));
    }
    return { ...counts, n3: request.n3, capture };
  } finally {
    datapath.stop();
  }
}

/** Steps until the captures are at their end; events are taken, so that no ring fills up. */
function run(datapath: Datapath): void {
  while (datapath.step()) datapath.poll();
  datapath.poll();
}

function portOf(
  name: string,
  role: 'access' | 'core',
  file: string,
  outputFile: string,
  rest: Partial<DatapathPortConfig>,
): DatapathPortConfig {
  return {
    name,
    driver: 'pcap',
    role,
    addresses: [],
    networkInstances: ['*'],
    udpPort: 2152,
    sourcePorts: 1,
    device: '',
    mtu: role === 'core' ? 1500 : 0,
    uePools: [],
    masquerade: false,
    file,
    outputFile,
    ...rest,
  };
}

/** Creates them one by one; returns each as the API would show it, encoded. */
async function createSessions(
  engine: SessionEngine,
  sessions: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const refusal = new Refusal();
  const record = new RecordBuffer();
  const decoder = new SessionDecoder(record, refusal);
  const validator = new RecordValidator(refusal);
  const writer = new ProtobufWriter();
  const created: Uint8Array[] = [];
  for (const [i, bytes] of sessions.entries()) {
    if (!decoder.decode(bytes, 0, bytes.length) || !validator.validate(record.words, 0)) {
      throw atSession(i, refusal.toError());
    }
    try {
      const result = await engine.create(OWNER, { words: record.words.subarray(0, record.top) });
      writer.reset();
      encodeSession(writer, result.record, 0, 0);
      created.push(writer.take());
    } catch (error) {
      throw error instanceof SluiceError ? atSession(i, error) : error;
    }
  }
  return created;
}

function atSession(position: number, error: SluiceError): ToolError {
  const field = error.field === '' ? '' : `${error.field}: `;
  return new ToolError(`session ${position + 1}: ${field}${error.message}`);
}
