/** N4 put together: the transport, the handlers of sessions, the endpoint. */
import { listenText, parseListen } from '../base/config/listen.js';
import type { N4Config } from '../base/config/n4.js';
import type { PortConfig } from '../base/config/schema.js';
import type { Log } from '../base/log.js';
import type { Metrics } from '../base/metrics.js';
import { refText } from '../model/record.js';
import { HEADER_NAME, HEADER_OWNER } from '../model/record-layout.js';
import { MODEL_LIMITS } from '../model/session-decode.js';
import type { SessionEngine } from '../session/engine.js';
import type { Store } from '../store/store.js';
import * as Message from './codec/message-type.js';
import { Endpoint } from './endpoint.js';
import type { MessageCounts } from './message-counts.js';
import { addN4Metrics, messageName, type N4MetricsSource } from './metrics/n4-metrics.js';
import { nodeIdentity } from './node/node-identity.js';
import type { PathEvent } from './node/node-report.js';
import { N4_OWNER_PREFIX } from './peer.js';
import { systemScheduler } from './scheduler.js';
import { cpFSeidOf } from './session/cp-f-seid.js';
import { SessionRequests } from './session/session-requests.js';
import type { N4PeerView } from './statistics.js';
import { openDgramTransport } from './transport/dgram-transport.js';
import { openNativeTransport } from './transport/native-transport.js';
import type { LocalAddress } from './transport/transport.js';
import type { DatagramWatch } from './watch/datagram-watch.js';
import { ObservedTransport } from './watch/observed-transport.js';

export interface N4Options {
  readonly config: N4Config;
  readonly engine: SessionEngine;
  readonly store: Store;
  readonly ports: readonly PortConfig[];
  readonly rulesPerSession: number;
  readonly sessionsMax: number;
  readonly metrics: Metrics;
  readonly log: Log;
}

export class N4 implements N4MetricsSource {
  private constructor(
    private readonly endpoint: Endpoint,
    private readonly datagrams: ObservedTransport,
  ) {}

  /**
   * Opens the sockets and begins to serve; after the sessions are back and the packet path runs.
   * @throws SluiceError that names the address and what to do.
   */
  static async open(options: N4Options): Promise<N4> {
    const { config, engine, store, log, metrics } = options;
    const listen = config.listen.map((text) => parseListen(text)!);
    const open = config.transport === 'native' ? openNativeTransport : openDgramTransport;
    const transport = new ObservedTransport(await open(listen));
    const addresses = transport.addresses();
    const nodeId = config.nodeId ?? addresses[0]!.host;
    const identity = nodeIdentity(nodeId, addresses, engine.recoveryTimeStamp);
    let n4: N4 | undefined;
    const measure = addN4Metrics(metrics, () => n4);
    const sessions = new SessionRequests({
      engine,
      limits: { ...MODEL_LIMITS, rulesPerSession: options.rulesPerSession },
      identity,
      ports: options.ports,
      protectedInstances: new Map(
        config.protections.map(({ networkInstance, protectionId }) => [
          networkInstance,
          protectionId,
        ]),
      ),
      log,
    });
    const endpoint = new Endpoint({
      ...{ config, transport, store, sessions, log, identity, measure },
      scheduler: systemScheduler,
      sessionsMax: options.sessionsMax,
      sessionCount: () => engine.count,
      sessionCountOf: (owner) => engine.countOf(owner),
      ownerOf: (low, high) => ownerOf(engine, low, high),
      cpFSeidOf: (owner, low, high) => cpFSeidAt(engine, owner, low, high),
    });
    n4 = new N4(endpoint, transport);
    endpoint.start();
    return n4;
  }

  /** Where it listens, with the ports that port 0 became. */
  get addresses(): readonly LocalAddress[] {
    return this.datagrams.addresses();
  }
  peers(): readonly N4PeerView[] {
    return this.endpoint.peers();
  }
  /** For the API: as {@link peers}, with messages by name. */
  peerStatus() {
    return this.endpoint.peers().map(({ counts, ...peer }) => ({
      ...peer,
      messages: messagesOf(counts),
      duplicates: counts.duplicates,
      retransmissions: counts.retransmitted,
    }));
  }
  listenTexts(): readonly string[] {
    return this.addresses.map(({ host, port }) => listenText({ kind: 'tcp', host, port }));
  }
  /**
   * Datagrams as they come and go, from now until the watch is closed.
   * @param peer  its Node ID, or an address; '': all.
   */
  watch(peer: string, heartbeats: boolean): DatagramWatch {
    return this.datagrams.watch(({ remote, bytes }) => {
      if (!heartbeats && isHeartbeat(bytes)) return false;
      return peer === '' || remote === peer || this.nodeIdOf(remote) === peer;
    });
  }
  /** The peer that sends from that address; '': none, or several. */
  nodeIdOf(address: string): string {
    const peers = this.endpoint.peers().filter((peer) => peer.addresses.includes(address));
    return peers.length === 1 ? peers[0]!.nodeId : '';
  }
  ownerOfPeer(nodeId: string): string {
    return N4_OWNER_PREFIX + nodeId;
  }
  statistics() {
    return this.endpoint.statistics();
  }
  transport() {
    return this.datagrams.statistics();
  }
  pathChanged(event: PathEvent): void {
    this.endpoint.pathChanged(event);
  }
  /** First step of the shutdown: takes no more requests, answers those under way. */
  drain(): Promise<void> {
    return this.endpoint.drain();
  }
  /** Last one: after the session engine, whose reports still go out. */
  close(): Promise<void> {
    return this.endpoint.close();
  }
}

function isHeartbeat(bytes: Uint8Array): boolean {
  return bytes[1] === Message.HeartbeatRequest || bytes[1] === Message.HeartbeatResponse;
}

/** The CP F-SEID of a session of that owner; undefined: it has none such. */
export function cpFSeidAt(engine: SessionEngine, owner: string, seidLow: number, seidHigh: number) {
  const place = engine.look(owner, seidLow, seidHigh);
  if (place === null) return undefined;
  const { words, start } = place;
  return cpFSeidOf(refText(words, start, words[start + HEADER_NAME]!));
}

/** Owner of the session with that SEID; '': there is none. */
export function ownerOf(engine: SessionEngine, seidLow: number, seidHigh: number): string {
  const seid = (BigInt(seidHigh) << 32n) | BigInt(seidLow);
  const record = engine.get('', { seid });
  return record === undefined ? '' : refText(record, 0, record[HEADER_OWNER]!);
}

function messagesOf(counts: MessageCounts) {
  const causes = new Map<number, Record<number, number>>();
  counts.forEachAnswer((type, cause, count) => {
    causes.set(type, { ...causes.get(type), [cause]: count });
  });
  return [...counts.received.keys()].flatMap((type) => {
    const received = counts.received[type]!;
    const sent = counts.sent[type]!;
    if (received + sent === 0) return [];
    return [{ message: messageName(type), received, sent, causes: causes.get(type) ?? {} }];
  });
}
