/** One CP function: what the endpoint knows of it. Thread: the control thread. */
import * as Message from '../codec/message-type.js';
import type { MessageWriter } from '../codec/message-writer.js';
import { MessageCounts } from '../message-counts.js';
import {
  type Applications,
  N4_OWNER_PREFIX,
  type Peer,
  type PeerProfile,
  type ResponseListener,
} from '../peer.js';
import { type PeerAddress, sameAddress } from './peer-address.js';

/** UDP port of PFCP, TS 29.244 clause 6.1. */
export const PFCP_PORT = 8805;
/** Addresses of one peer that are remembered. */
export const PEER_ADDRESSES_MAX = 8;

/** What a peer does when it is asked to send: the endpoint. */
export interface PeerHost {
  request(peer: PeerState, writer: MessageWriter, done: ResponseListener, to?: string): void;
}

/**
 * Sessions of a peer that were made before that time are being given up, but for those whose
 * CP F-SEID has one of the addresses `retained`.
 */
export interface Purging {
  /** Of the engine's creation.divide(); until that is settled, of the purge before or 0. */
  before: number;
  isSettled: boolean;
  /** Resolves when it is. */
  readonly divided: Promise<unknown>;
  readonly retained: readonly PeerAddress[];
  /** Resolves when they are gone, or could not be given up. */
  done: Promise<unknown>;
}

export class PeerState implements Peer {
  readonly owner: string;
  associated = false;
  /** It answered our last heartbeat, or has not been asked yet. */
  reachable = true;
  cpFeatures = 0;
  applications: Applications | null = null;
  /** NTP seconds; 0: not known. */
  recoveryTimeStamp = 0;
  /** Milliseconds since 1970; 0: not associated. */
  associatedAtMs = 0;
  readonly counts = new MessageCounts();
  /** The first one is where requests go. */
  readonly addresses: PeerAddress[] = [];
  /** Local socket that it talks to. */
  local = 0;
  /** Port that its requests come from. */
  port = PFCP_PORT;
  /** Port that has answered requests of ours; 0: none yet. */
  #answeringPort = 0;
  /** A request was given up. */
  #wasSilent = false;
  /** Address of sessions from which no answer came, while the peer's own gave one; '': none. */
  #silentAddress = '';
  /** Milliseconds of the endpoint's clock when something came from it; 0: never. */
  heardAtMs = 0;
  purging: Purging | undefined;
  /** Sequence numbers of the load and overload information that it was sent last. */
  loadSequence = 0;
  overloadSequence = 0;

  constructor(
    readonly nodeId: string,
    /** Names its timer. */
    readonly index: number,
    public profile: PeerProfile,
    private readonly host: PeerHost,
  ) {
    this.owner = N4_OWNER_PREFIX + nodeId;
  }

  get givenUpBefore(): number {
    return this.purging?.before ?? 0;
  }

  get retained(): readonly PeerAddress[] {
    return this.purging?.retained ?? [];
  }

  request(writer: MessageWriter, done: ResponseListener, to?: string): void {
    this.host.request(this, writer, done, to);
  }

  /** Its main address as text; '' before it is known. */
  get address(): string {
    return this.addresses[0]?.text ?? '';
  }

  hasAddress(family: number, words: Uint32Array, at: number): boolean {
    for (const one of this.addresses) if (sameAddress(one, family, words, at)) return true;
    return false;
  }

  /** It is set up anew: nothing is known of where it answers. */
  forgetPort(): void {
    this.#answeringPort = 0;
    this.#wasSilent = false;
  }
  /** A response came from there. Where nothing was sent to, nobody may listen. */
  answered(port: number): void {
    if (port === PFCP_PORT || port === this.port) this.#answeringPort = port;
  }
  gaveUp(): void {
    this.#wasSilent = true;
  }
  /** A request that was for `to`, an address of sessions, was answered from there, or was not. */
  answeredFor(to: PeerAddress, isElsewhere: boolean): void {
    if (isElsewhere) this.#silentAddress = to.text;
    else if (this.#silentAddress === to.text) this.#silentAddress = '';
  }
  /** Whether a transmission for an address of sessions goes there; in turns with the peer's own. */
  goesTo(to: PeerAddress, attempt: number): boolean {
    return (attempt % 2 === 0) === (this.#silentAddress !== to.text);
  }

  /**
   * Where a transmission goes: to the port that has answered; before one has, to PFCP's. The one
   * that the peer sends from has its turns when a request was given up without, and with
   * heartbeats, since whom they don't reach counts as dead.
   */
  portFor(messageType: number, attempt: number): number {
    if (this.#answeringPort !== 0) return this.#answeringPort;
    const inTurns = this.#wasSilent || messageType === Message.HeartbeatRequest;
    return inTurns && attempt % 2 === 1 ? this.port : PFCP_PORT;
  }
}
