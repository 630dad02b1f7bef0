/**
 * GTP-U messages beside G-PDUs and End Markers (TS 29.281 clause 7): what comes in, and what
 * answers packets that nobody can take. Answers that strangers can provoke are limited, and
 * there are none for a while after a start, when SMFs may be restoring their sessions.
 */
import { type Address, formatAddress, sameAddress } from '../wire/address.js';
import { put32 } from '../wire/checksum.js';
import { ECHO_RESPONSE, ERROR_INDICATION, EXTENSIONS_NOTIFICATION } from '../wire/gtpu.js';
import { addressOf, type Effect, type ModelPacket, type Signal } from './packet.js';
import { farsInUse, type OuterHeader, type Session, tunnelsOf } from './rules.js';
import type { LiveSession } from './session.js';

const UDP_PORT = 2152;
const SECOND = 1e9;
const RECOVERY = Uint8Array.of(14, 0);
/** One that has to be understood is: the PDU Session Container. */
const UNDERSTOOD = Uint8Array.of(141, 1, 0x85);

export interface SignalLimits {
  readonly answersPerSecond: number;
  readonly answersQuietMs: number;
}
/** A peer knows nothing of a tunnel that a session sends into. */
export interface LostTunnel {
  readonly session: string;
  readonly teid: number;
  readonly peer: string;
}

export class Signals {
  lost: LostTunnel[] = [];
  /** By session the tunnels that were told, until its FARs lead elsewhere. */
  readonly #told = new Map<string, Set<string>>();
  #sequence = 0;
  #quietUntilNs: number;
  /** A bucket of one second's answers. */
  #level: number;
  #filledNs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly limits: SignalLimits,
    nowNs: number,
  ) {
    this.#level = limits.answersPerSecond;
    this.#quietUntilNs = nowNs + limits.answersQuietMs * 1e6;
  }

  restart(nowNs: number): void {
    this.#told.clear();
    this.#sequence = 0;
    this.#filledNs = Number.NEGATIVE_INFINITY;
    this.#quietUntilNs = nowNs + this.limits.answersQuietMs * 1e6;
  }

  /** A message for the UPF itself. */
  take(signal: Signal, port: number, sessions: Iterable<LiveSession>): Effect[] {
    switch (signal.kind) {
      case 'echo request': {
        const { sequence, udpPort } = signal;
        const answer = message(signal, port, ECHO_RESPONSE, sequence, RECOVERY, udpPort);
        return [answer, { dropped: 'gtpu_echo' }];
      }
      case 'echo response':
        return [{ dropped: 'gtpu_echo' }];
      case 'extensions':
        return [{ dropped: 'extensions_notification' }];
      case 'error indication':
        // Only the peer itself may say that it has no such tunnel.
        if (!sameAddress(signal.about, signal.peer))
          return [{ dropped: 'error_indication_forged' }];
        for (const { session } of sessions) this.#tell(session, signal.teid, signal.peer);
        return [{ dropped: 'error_indication' }];
    }
  }

  #tell(session: Session, teid: number, peer: Address): void {
    const named = tunnelsOf(farsInUse(session)).find(
      (outer) => outer.teid === teid && isAt(outer, peer),
    );
    const told = this.#told.get(session.name) ?? new Set();
    if (named === undefined || told.has(nameOf(named))) return;
    this.#told.set(session.name, told.add(nameOf(named)));
    this.lost.push({ session: session.name, teid, peer: formatAddress(peer) });
  }

  /** New rules: what was told stays told while a FAR leads there. */
  update(session: Session): void {
    const still = new Set(tunnelsOf(farsInUse(session)).map(nameOf));
    const told = this.#told.get(session.name) ?? new Set();
    for (const name of told) if (!still.has(name)) told.delete(name);
  }
  delete(name: string): void {
    this.#told.delete(name);
  }

  /** Nobody has the TEID of a G-PDU, which TEID 0 never is. */
  errorIndication({ tunnel, port }: ModelPacket, nowNs: number): Effect[] {
    const { local, teid } = tunnel!;
    if (teid === 0 || !this.#mayAnswer(nowNs)) return [];
    const body = new Uint8Array(8 + local.length);
    body[0] = 16;
    put32(body, 1, teid);
    body.set([133, 0, local.length], 5);
    body.set(local, 8);
    return [message(tunnel!, port, ERROR_INDICATION, this.#sequence++, body)];
  }

  /** A G-PDU had an extension header that has to be understood, and isn't. */
  supportedExtensions({ tunnel, port }: ModelPacket, nowNs: number): Effect[] {
    if (!this.#mayAnswer(nowNs)) return [];
    return [message(tunnel!, port, EXTENSIONS_NOTIFICATION, this.#sequence++, UNDERSTOOD)];
  }

  #mayAnswer(nowNs: number): boolean {
    if (nowNs < this.#quietUntilNs) return false;
    const { answersPerSecond: most } = this.limits;
    const more = ((nowNs - this.#filledNs) / SECOND) * most;
    this.#level = Math.min(most, this.#level + more);
    this.#filledNs = nowNs;
    // A billionth of an answer is the least that time brings.
    if (this.#level < 1 - 1e-10) return false;
    this.#level--;
    return true;
  }
}

/** Back to where a packet came from. */
function message(
  { local, peer }: { readonly local: Address; readonly peer: Address },
  port: number,
  type: number,
  sequence: number,
  bytes: Uint8Array,
  udpPort = UDP_PORT,
): Effect {
  const tunnel = { source: local, destination: peer, udpPort, teid: 0, tos: 0, type };
  return { port, bytes, tunnel: { ...tunnel, sequence: sequence & 0xffff } };
}

function isAt({ ipv4, ipv6 }: OuterHeader, peer: Address): boolean {
  return sameAddress(addressOf(ipv4 ?? ipv6 ?? ''), peer);
}

function nameOf({ teid, ipv4, ipv6 }: OuterHeader): string {
  return `${teid} ${ipv4 ?? ipv6}`;
}
