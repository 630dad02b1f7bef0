/** For tests: session handlers on an engine in memory, a peer that keeps what it is sent. */
import type { Clock } from '../../base/clock.js';
import { silentLog } from '../../base/log.js';
import { ProtobufWriter } from '../../model/protobuf.js';
import { decodeMessage } from '../../model/sample.fixture.js';
import { MODEL_LIMITS } from '../../model/session-decode.js';
import { encodeSession } from '../../model/session-encode.js';
import { type Bench, footprint, startEngine } from '../../session/engine.fixture.js';
import type { SessionEngine } from '../../session/engine.js';
import type { MemoryStoreContents } from '../../store/memory.js';
import { describeMessage, encodeMessage } from '../codec/describe.js';
import { MessageReader } from '../codec/message-reader.js';
import { MessageWriter } from '../codec/message-writer.js';
import { elementOf } from '../codec/table/table.js';
import { nodeIdentity } from '../node/node-identity.js';
import type { Applications, Peer, PeerProfile, ResponseListener } from '../peer.js';
import type { PeerAddress } from '../peers/peer-address.js';
import type { ProtectedInstances } from '../rules/protected-instances.js';
import type { Transaction } from '../transaction.js';
import { SessionRequests } from './session-requests.js';

export const PROFILE: PeerProfile = {
  name: 'test',
  featureOctets: 0,
  sharedFTeid: false,
  retainSessions: true,
};

type Done = (response: MessageReader | undefined, isElsewhere?: boolean) => void;

/** A request of ours that the peer has been sent. */
export interface SentRequest {
  readonly bytes: Uint8Array;
  readonly done: Done;
  /** Where the session is served. */
  readonly to: string;
}

export class FakePeer implements Peer {
  readonly owner: string;
  associated = true;
  givenUpBefore = 0;
  retained: readonly PeerAddress[] = [];
  cpFeatures = 0;
  applications: Applications | null = null;
  readonly sent: SentRequest[] = [];
  #sequence = 0;

  constructor(
    readonly nodeId = '10.0.0.1',
    readonly profile = PROFILE,
  ) {
    this.owner = `n4:${nodeId}`;
  }

  request(writer: MessageWriter, listener: ResponseListener, to = ''): void {
    if (!writer.finish(++this.#sequence)) throw new Error('the request does not fit');
    const done: Done = (response, isElsewhere = false) => listener(response, isElsewhere);
    this.sent.push({ bytes: writer.bytes.slice(0, writer.length), done, to });
  }
}

/** Session handlers and the engine that they are on. */
export interface N4Parts {
  readonly engine: SessionEngine;
  readonly requests: SessionRequests;
}
export interface N4Bench extends Bench {
  readonly requests: SessionRequests;
}

export function requestsOn(
  engine: SessionEngine,
  protectedInstances: ProtectedInstances = new Map(),
): SessionRequests {
  return new SessionRequests({
    engine,
    limits: MODEL_LIMITS,
    identity: nodeIdentity('192.0.2.9', [], 0),
    ports: [],
    protectedInstances,
    log: silentLog(),
  });
}

export async function startSessions(contents?: MemoryStoreContents, now?: Clock): Promise<N4Bench> {
  const bench = await startEngine(contents, now === undefined ? {} : { now });
  return { ...bench, requests: requestsOn(bench.engine) };
}

/** All sessions that the peer has asked for so far; resolves with their number. */
export async function deleteAll(requests: SessionRequests, peer: FakePeer): Promise<number> {
  return requests.deleteAll(peer, await requests.divide(peer));
}

let sequence = 0;

/** The answer to a request, read; the reader is its own. */
export function ask(bench: N4Parts, peer: FakePeer, request: Uint8Array): Promise<MessageReader> {
  const reader = new MessageReader();
  if (!reader.read(request, 0, request.length)) {
    throw new Error(`the request is refused as a message: ${reader.cause} ${reader.offendingIe}`);
  }
  return new Promise((resolve, reject) => {
    const transaction: Transaction = {
      peer,
      messageType: reader.messageType,
      sequence: ++sequence,
      answer: (writer) => {
        if (!writer.finish(transaction.sequence)) {
          reject(new Error('the answer does not fit'));
          return false;
        }
        const answer = new MessageReader();
        const bytes = writer.bytes.slice(0, writer.length);
        if (answer.read(bytes, 0, bytes.length)) resolve(answer);
        else reject(new Error(`the answer is malformed: ${answer.cause} ${answer.offendingIe}`));
        return true;
      },
    };
    bench.requests.handle(transaction, reader);
  });
}

/** A message of a session: what `write` puts into it. */
export function message(
  messageType: number,
  seid: bigint,
  write: (writer: MessageWriter) => void,
): Uint8Array {
  const writer = new MessageWriter(0xffff);
  writer.begin(messageType, true, Number(seid & 0xffff_ffffn), Number(seid >> 32n));
  write(writer);
  if (!writer.finish(1)) throw new Error('the message does not fit');
  return writer.bytes.slice(0, writer.length);
}

export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** SEID of an answer's UP F-SEID. */
export function upSeidOf(reader: MessageReader): bigint {
  const at = reader.valueAt[reader.find(-1, 57)]! + 1;
  return Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset).readBigUInt64BE(at);
}

// biome-ignore lint/suspicious/noExplicitAny: tests reach anywhere into messages
export type Loose = any;

/** Uplink and downlink of one UE, as most SMFs write them; the address is the number's. */
export function establishment(number = 1, change?: (elements: Loose) => void): Uint8Array {
  const elements: Loose = {
    'Node ID': { type: 'IPv4', ipv4: '10.0.0.1' },
    'F-SEID': {
      flags: ['V4'],
      seid: `0x${number.toString(16).padStart(16, '0')}`,
      ipv4: '10.0.0.1',
    },
    'Create PDR': [uplinkPdr(), downlinkPdr(number)],
    'Create FAR': [coreFar(), accessFar()],
    'Create QER': [
      {
        'QER ID': 1,
        'Gate Status': { uplink: 'open', downlink: 'open' },
        MBR: { uplinkKbps: 50_000, downlinkKbps: 100_000 },
        QFI: 9,
      },
    ],
    'Create URR': [
      {
        'URR ID': 1,
        'Measurement Method': ['VOLUM'],
        'Reporting Triggers': ['VOLTH'],
        'Volume Threshold': { flags: ['TOVOL'], total: 1_000_000 },
      },
    ],
    'PDN Type': 'IPv4',
  };
  change?.(elements);
  return encodeMessage({ message: 'Session Establishment Request', seid: '0x0', elements });
}

export function uplinkPdr(): Loose {
  return {
    'PDR ID': 1,
    Precedence: 100,
    PDI: {
      'Source Interface': 'Access',
      'F-TEID': { flags: ['V4', 'CH'] },
      'Network Instance': 'access',
    },
    'Outer Header Removal': { description: 'GTP-U/UDP/IPv4' },
    'FAR ID': 1,
    'URR ID': [1],
    'QER ID': [1],
  };
}
export function downlinkPdr(number: number): Loose {
  return {
    'PDR ID': 2,
    Precedence: 100,
    PDI: {
      'Source Interface': 'Core',
      'Network Instance': 'internet',
      'UE IP Address': [{ flags: ['V4'], ipv4: `10.70.${number >> 8}.${number & 255}` }],
    },
    'FAR ID': 2,
    'URR ID': [1],
    'QER ID': [1],
  };
}
export function coreFar(): Loose {
  return {
    'FAR ID': 1,
    'Apply Action': ['FORW'],
    'Forwarding Parameters': {
      'Destination Interface': 'Core',
      'Network Instance': 'internet',
    },
  };
}
export function accessFar(): Loose {
  return {
    'FAR ID': 2,
    'Apply Action': ['FORW'],
    'Forwarding Parameters': {
      'Destination Interface': 'Access',
      'Network Instance': 'access',
      'Outer Header Creation': { flags: ['GTPU4'], teid: '0x00000011', ipv4: '10.1.1.1' },
    },
  };
}

/** Everything that an establishment may have, so that changes of octets reach far. */
export function richEstablishment(number: number): Uint8Array {
  return establishment(number, (elements: Loose) => {
    const named = uplinkPdr();
    named['PDR ID'] = 3;
    named.PDI = { 'Source Interface': 'Access', 'Traffic Endpoint ID': [4] };
    elements['Create PDR'].push(named);
    elements['Create PDR'][1].PDI['SDF Filter'] = [
      {
        flags: ['FD', 'BID'],
        flowDescription: 'permit out 17 from any 53 to assigned',
        sdfFilterId: 7,
      },
    ];
    elements['Create PDR'][0].PDI['SDF Filter'] = [{ flags: ['BID'], sdfFilterId: 7 }];
    elements['Create Traffic Endpoint'] = [
      {
        'Traffic Endpoint ID': 4,
        'F-TEID': { flags: ['V4', 'CH'] },
        'Framed-Route': ['10.9.0.0/16'],
      },
    ];
    elements['Create FAR'][1]['BAR ID'] = 1;
    elements['Create BAR'] = [{ 'BAR ID': 1, 'Downlink Data Notification Delay': 2 }];
    Object.assign(elements['Create URR'][0], {
      'Measurement Method': ['DURAT', 'VOLUM'],
      'Reporting Triggers': ['PERIO', 'VOLTH', 'STOPT', 'DROTH', 'LIUSA', 'QUVTI', 'ENVCL'],
      'Measurement Period': 10,
      'Inactivity Detection Time': 20,
      'Volume Quota': { flags: ['TOVOL', 'ULVOL'], total: 9, uplink: 8 },
      'Time Quota': 60,
      'Quota Validity Time': 600,
      'Dropped DL Traffic Threshold': { flags: ['DLPA', 'DLBY'], packets: 3, bytes: 4 },
    });
    elements['User Plane Inactivity Timer'] = 9;
  });
}

export function modification(seid: bigint, elements: Loose): Uint8Array {
  const message = 'Session Modification Request';
  return encodeMessage({ message, seid: `0x${seid.toString(16)}`, elements });
}
export function deletion(seid: bigint): Uint8Array {
  const message = 'Session Deletion Request';
  return encodeMessage({ message, seid: `0x${seid.toString(16)}`, elements: {} });
}

/** An answer's elements as plain data. */
export function elementsOf(reader: MessageReader): Loose {
  return describeMessage(reader.bytes, 0, reader.bodyEnd)!.elements;
}

/** Asks, and expects to be answered "accepted". */
export async function accepted(bench: N4Parts, peer: FakePeer, request: Uint8Array) {
  const reader = await ask(bench, peer, request);
  const elements = elementsOf(reader);
  if (elements.Cause !== 'Request accepted') {
    throw new Error(`refused: ${JSON.stringify(elements)}`);
  }
  return { reader, elements, seid: reader.find(-1, 57) < 0 ? 0n : upSeidOf(reader) };
}

/** The session as the API shows it; undefined: there is none. */
export function shown(bench: N4Parts, peer: FakePeer, seid: bigint): Loose {
  const record = bench.engine.get(peer.owner, { seid });
  if (record === undefined) return undefined;
  const writer = new ProtobufWriter();
  encodeSession(writer, record, 0, 0);
  return decodeMessage('Session', writer.take());
}

/** What an establishment is refused with; nothing of it may be anywhere. */
export async function refused(
  bench: N4Bench,
  change: (elements: Loose) => void,
  peer = new FakePeer(),
) {
  const before = JSON.stringify(footprint(bench));
  const reader = await ask(bench, peer, establishment(1, change));
  if (JSON.stringify(footprint(bench)) !== before) throw new Error('the refusal left something');
  // There are SMFs that want the UP F-SEID of refusals, too.
  if (reader.find(-1, 57) < 0) throw new Error('the refusal has no UP F-SEID');
  const { Cause: cause, 'Offending IE': ie, 'Failed Rule ID': rule } = elementsOf(reader);
  return { cause, ie: elementOf(ie)?.name, rule, seid: reader.seidLow };
}

/** Turns of the event loop, for what travels through the log and its store. */
export async function settle(turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((done) => setImmediate(done));
}

/** The peer answers a report. */
export function answerReport(sent: SentRequest | undefined, elements: Loose = {}): void {
  const bytes = encodeMessage({
    message: 'Session Report Response',
    seid: '0x0',
    elements: { Cause: 'Request accepted', ...elements },
  });
  const reader = new MessageReader();
  if (!reader.read(bytes, 0, bytes.length)) throw new Error('the response is malformed');
  sent!.done(reader);
}

/** A session, and what is done with it. */
export async function established(change?: (elements: Loose) => void) {
  const bench = await startSessions();
  const peer = new FakePeer();
  const { seid } = await accepted(bench, peer, establishment(1, change));
  const modify = (elements: Loose) => accepted(bench, peer, modification(seid, elements));
  return { bench, peer, seid, modify, show: () => shown(bench, peer, seid) };
}
