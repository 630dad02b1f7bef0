/** For tests: session handlers on an engine in memory, a peer that keeps what it is sent. */
import { silentLog } from '../../base/log.js';
import { MODEL_LIMITS } from '../../model/session-decode.js';
import { type Bench, startEngine } from '../../session/engine.fixture.js';
import type { MemoryStoreContents } from '../../store/memory.js';
import { MessageReader } from '../codec/message-reader.js';
import { MessageWriter } from '../codec/message-writer.js';
import type { Applications, Peer, PeerProfile } from '../peer.js';
import type { Transaction } from '../transaction.js';
import { SessionRequests } from './session-requests.js';

export const PROFILE: PeerProfile = {
  name: 'test',
  featureOctets: 0,
  sharedFTeid: false,
  retainSessions: true,
};

type Done = (response: MessageReader | undefined) => void;

/** A request of ours that the peer has been sent. */
export interface SentRequest {
  readonly bytes: Uint8Array;
  readonly done: Done;
}

export class FakePeer implements Peer {
  readonly owner: string;
  associated = true;
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

  request(writer: MessageWriter, done: Done): void {
    if (!writer.finish(++this.#sequence)) throw new Error('the request does not fit');
    this.sent.push({ bytes: writer.bytes.slice(0, writer.length), done });
  }
}

export interface N4Bench extends Bench {
  readonly requests: SessionRequests;
}

export async function startSessions(contents?: MemoryStoreContents): Promise<N4Bench> {
  const bench = await startEngine(contents);
  const requests = new SessionRequests({
    engine: bench.engine,
    limits: MODEL_LIMITS,
    identity: { nodeId: Uint8Array.of(0, 192, 0, 2, 9), ipv4: 0xc0000209, ipv6: null },
    ports: [],
    log: silentLog(),
  });
  return { ...bench, requests };
}

let sequence = 0;

/** The answer to a request, read; the reader is its own. */
export function ask(bench: N4Bench, peer: FakePeer, request: Uint8Array): Promise<MessageReader> {
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
