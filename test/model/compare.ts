/** What the packet path did with a turn's packets, against what the model says. */
import type { SentPacket, Turn } from '../../src/datapath/packet-exchange.js';
import { formatAddress, sameAddress } from '../wire/address.js';
import { type Container, G_PDU, parseGtpu } from '../wire/gtpu.js';
import { textOf } from '../wire/text.js';
import type { SentTunnel, Verdict } from './forward.js';
import type { TestPacket } from './random-packet.js';

/** A packet and what the model says of it. */
export interface Judged {
  readonly packet: TestPacket;
  readonly verdict: Verdict;
}

/** undefined: as the model says; else both verdicts as text. */
export function difference(turn: Turn, judged: readonly Judged[]): string | undefined {
  const sent = judged.filter(({ verdict }) => 'port' in verdict);
  const drops = judged.flatMap(({ verdict }) => ('dropped' in verdict ? [verdict.dropped] : []));
  const sameDrops =
    drops.length === turn.dropped.length && drops.sort().join() === [...turn.dropped].sort().join();
  if (sameDrops && sent.length === turn.sent.length && inOrder(turn.sent, sent)) return undefined;
  const expected = judged.map(({ verdict, packet }) => verdictText(verdict, packet)).join('\n    ');
  const found = [...turn.sent.map(sentText), ...turn.dropped.map((reason) => `drop ${reason}`)];
  return `  model:\n    ${expected}\n  packet path:\n    ${found.join('\n    ') || 'nothing'}`;
}

/** Packets leave each port in the order in which they came in. */
function inOrder(found: readonly SentPacket[], expected: readonly Judged[]): boolean {
  const byPort = expected
    .map((one) => ({ one, port: (one.verdict as { readonly port: number }).port }))
    .sort((a, b) => a.port - b.port);
  return byPort.every(({ one, port }, i) => isSent(found[i]!, port, one));
}

function isSent(found: SentPacket, port: number, { packet, verdict }: Judged): boolean {
  if (found.port !== port) return false;
  const tunnel = (verdict as { readonly tunnel?: SentTunnel }).tunnel;
  if (tunnel === undefined) return sameBytes(found.bytes, packet.inner);
  const gtpu = parseGtpu(found.bytes);
  const { outer } = gtpu;
  return (
    gtpu.type === G_PDU &&
    gtpu.teid === tunnel.teid &&
    sameBytes(gtpu.body, packet.inner) &&
    sameContainer(gtpu.container, tunnel.container) &&
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

function sentText({ port, bytes }: SentPacket): string {
  const inTunnel = textOf(bytes, true);
  return `port ${port}: ${inTunnel.startsWith('gtpu') ? inTunnel : textOf(bytes, false)}`;
}

function verdictText(verdict: Verdict, packet: TestPacket): string {
  const by = verdict.by === undefined ? '' : ` (${verdict.by})`;
  if ('dropped' in verdict) return `drop ${verdict.dropped}${by}`;
  const { tunnel } = verdict;
  const inner = textOf(packet.inner, false);
  if (tunnel === undefined) return `port ${verdict.port}: ${inner}${by}`;
  const container = JSON.stringify(tunnel.container ?? 'no container');
  const ends = `${formatAddress(tunnel.source)} > ${formatAddress(tunnel.destination)}`;
  const marks = `port ${tunnel.udpPort} tos ${tunnel.tos} ${container}`;
  return `port ${verdict.port}: gtpu ${ends} teid ${tunnel.teid} ${marks} | ${inner}${by}`;
}
