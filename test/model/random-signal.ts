/** Random GTP-U messages for the UPF itself: Echo, Error Indications, true and forged, others. */
import { type Address, parseAddress } from '../wire/address.js';
import { put32 } from '../wire/checksum.js';
import {
  buildGtpu,
  ECHO_REQUEST,
  ECHO_RESPONSE,
  ERROR_INDICATION,
  EXTENSIONS_NOTIFICATION,
} from '../wire/gtpu.js';
import type { IpPacket } from '../wire/ip.js';
import { addressOf, type Signal } from './packet.js';
import type { Asked } from './paths.js';
import type { Random } from './random.js';
import type { TestPacket } from './random-packet.js';
import { tunnelsOf } from './rules.js';
import type { LiveSession } from './session.js';

const N3 = { v4: parseAddress('10.0.0.1'), v6: parseAddress('fd00::1') };
const STRANGER = { v4: parseAddress('10.0.0.66'), v6: parseAddress('fd00::66') };
const ACCESS_PORT = 0;
const NOTHING = new Uint8Array(0);
const NO_INNER: IpPacket = { source: N3.v4, destination: N3.v4, protocol: 0, bytes: 0 };

export function randomSignal(random: Random, live: LiveSession): TestPacket {
  const outer = random.of(tunnelsOf(live.session.fars));
  const peer = addressOf(outer.ipv4 ?? outer.ipv6 ?? '');
  const local = peer.length === 4 ? N3.v4 : N3.v6;
  const sequence = random.below(0x1_0000);
  const udpPort = random.of([2152, 40_000]);
  const between = { local, peer };
  switch (random.below(6)) {
    case 0:
      return packetOf({ kind: 'echo request', ...between, sequence, udpPort }, ECHO_REQUEST);
    case 1:
      // The first request that is made has number 1.
      return echoResponse({ kind: 'echo response', ...between, sequence: 0 });
    case 2: {
      const body = Uint8Array.of(141, 1, 0x85);
      return packetOf({ kind: 'extensions', ...between }, EXTENSIONS_NOTIFICATION, body);
    }
    default: {
      const stranger = peer.length === 4 ? STRANGER.v4 : STRANGER.v6;
      const about = random.once(4) ? stranger : peer;
      const teid = random.once(8) ? 0xdead : outer.teid;
      const signal: Signal = { kind: 'error indication', ...between, teid, about };
      return packetOf(signal, ERROR_INDICATION, elements(teid, about));
    }
  }
}

/** To a request of the UPF's, mostly the right one. */
export function randomAnswer(random: Random, { address, local, sequence }: Asked): TestPacket {
  const stranger = address.length === 4 ? STRANGER.v4 : STRANGER.v6;
  return echoResponse({
    kind: 'echo response',
    local,
    peer: random.once(8) ? stranger : address,
    sequence: random.once(8) ? (sequence + 0x8000) & 0xffff : sequence,
  });
}

function echoResponse(signal: Signal): TestPacket {
  return packetOf(signal, ECHO_RESPONSE, Uint8Array.of(14, 0));
}

function elements(teid: number, about: Address): Uint8Array {
  const body = new Uint8Array(8 + about.length);
  body[0] = 16;
  put32(body, 1, teid);
  body.set([133, 0, about.length], 5);
  body.set(about, 8);
  return body;
}

function packetOf(signal: Signal, type: number, body: Uint8Array = NOTHING): TestPacket {
  const { local, peer } = signal;
  const echo = signal.kind === 'echo request' ? signal : undefined;
  const bytes = buildGtpu({
    outer: {
      source: peer,
      destination: local,
      ...(echo === undefined ? {} : { sourcePort: echo.udpPort }),
    },
    type,
    teid: 0,
    sequence: 'sequence' in signal ? signal.sequence : 0,
    body,
  });
  const packet = { port: ACCESS_PORT, signal, inner: NO_INNER, bytes: NOTHING, whole: bytes };
  return { packet, bytes };
}
