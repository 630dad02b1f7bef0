/** What left and what ended in a turn of the packet path, against what the model says. */
import type { SentPacket, Turn } from '../../src/datapath/packet-exchange.js';
import { formatAddress, sameAddress } from '../wire/address.js';
import {
  type Container,
  ECHO_RESPONSE,
  END_MARKER,
  type Extension,
  G_PDU,
  parseGtpu,
} from '../wire/gtpu.js';
import { textOf } from '../wire/text.js';
import type { Effect } from './packet.js';

type Sent = Exclude<Effect, { readonly dropped: string }>;

/** undefined: as the model says; else both as text. */
export function difference(turn: Turn, effects: readonly Effect[]): string | undefined {
  const drops = effects.flatMap((effect) => ('dropped' in effect ? [effect.dropped] : []));
  const sent = effects.filter((effect): effect is Sent => 'port' in effect);
  const sameDrops =
    drops.length === turn.dropped.length && drops.sort().join() === [...turn.dropped].sort().join();
  if (sameDrops && sent.length === turn.sent.length && inOrder(turn.sent, sent)) return undefined;
  const expected = effects.map(effectText).join('\n    ');
  const found = [...turn.sent.map(sentText), ...turn.dropped.map((reason) => `drop ${reason}`)];
  return `  model:\n    ${expected}\n  packet path:\n    ${found.join('\n    ') || 'nothing'}`;
}

/**
 * Packets leave each port in the order of the model, answers to Echo Requests before them; End
 * Markers of one moment in any.
 */
function inOrder(found: readonly SentPacket[], expected: readonly Sent[]): boolean {
  const late = (sent: Sent) => (sent.tunnel?.type === ECHO_RESPONSE ? 0 : 1);
  const byPort = [...expected].sort((a, b) => a.port - b.port || late(a) - late(b));
  for (let at = 0; at < byPort.length; ) {
    let end = at;
    while (isMarker(byPort[end])) end++;
    const markers = byPort.slice(at, end);
    const same = found.slice(at, end).every((one) => {
      const which = markers.findIndex((marker) => isSent(one, marker));
      return which >= 0 && markers.splice(which, 1).length === 1;
    });
    if (!same) return false;
    if (end < byPort.length && !isSent(found[end]!, byPort[end]!)) return false;
    at = end + 1;
  }
  return true;
}

function isMarker(sent: Sent | undefined): boolean {
  return sent?.tunnel?.type === END_MARKER;
}

function isSent(found: SentPacket, { port, bytes, tunnel }: Sent): boolean {
  if (found.port !== port) return false;
  if (tunnel === undefined) return sameBytes(found.bytes, bytes);
  const gtpu = parseGtpu(found.bytes);
  const { outer } = gtpu;
  return (
    gtpu.type === tunnel.type &&
    gtpu.teid === tunnel.teid &&
    gtpu.sequence === tunnel.sequence &&
    sameBytes(gtpu.body, bytes) &&
    sameContainer(gtpu.container, tunnel.container) &&
    sameExtensions(gtpu.extensions, tunnel.pdcpNumber) &&
    sameAddress(outer.source, tunnel.source) &&
    sameAddress(outer.destination, tunnel.destination) &&
    outer.destinationPort === tunnel.udpPort &&
    outer.tos === tunnel.tos &&
    outer.wrong?.length === 0
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function sameContainer(a: Container | undefined, b: Container | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.uplink === b.uplink && a.qfi === b.qfi && a.rqi === b.rqi && a.ppi === b.ppi;
}

/** No other extension leaves than a PDCP number. */
function sameExtensions(found: readonly Extension[] = [], expected?: Extension): boolean {
  if (expected === undefined) return found.length === 0;
  const [one] = found;
  if (one?.type !== expected.type || found.length !== 1) return false;
  return sameBytes(one.content, expected.content);
}

function sentText({ port, bytes }: SentPacket): string {
  const inTunnel = textOf(bytes, true);
  return `port ${port}: ${inTunnel.startsWith('gtpu') ? inTunnel : textOf(bytes, false)}`;
}

export function effectText(effect: Effect): string {
  if ('dropped' in effect) return `drop ${effect.dropped}`;
  const { port, bytes, tunnel } = effect;
  const isPacket = tunnel === undefined || tunnel.type === G_PDU;
  const inner = isPacket ? textOf(bytes, false) : Buffer.from(bytes).toString('hex');
  if (tunnel === undefined) return `port ${port}: ${inner}`;
  const container = JSON.stringify(tunnel.container ?? 'no container');
  const number = tunnel.pdcpNumber === undefined ? '' : ' with a PDCP number';
  const ends = `${formatAddress(tunnel.source)} > ${formatAddress(tunnel.destination)}`;
  const marks = `port ${tunnel.udpPort} tos ${tunnel.tos} ${container} type ${tunnel.type}${number}`;
  return `port ${port}: gtpu ${ends} teid ${tunnel.teid} ${marks} | ${inner}`;
}
