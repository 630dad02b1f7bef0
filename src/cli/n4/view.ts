/** What people see of peers and their sessions. Pure. */
import type { ListPeersResponse, N4Peer, N4Session } from '../api/messages.js';
import { formatTimestamp, milliseconds } from '../api/proto-json.js';
import { grouped, table } from '../print.js';

export function peersText({ peers = [], listen = [] }: ListPeersResponse): string {
  const head = `listening on ${listen.join(', ')}`;
  if (peers.length === 0) return `${head}\nno SMF has an association`;
  const rows = peers.map((peer) => [
    peer.node_id ?? '',
    (peer.addresses ?? []).join(' '),
    stateOf(peer),
    peer.profile ?? '',
    grouped(peer.sessions),
    peer.associated_since === undefined ? '' : formatTimestamp(peer.associated_since),
    peer.silent_for === undefined
      ? ''
      : `${(milliseconds(peer.silent_for) / 1000).toFixed(1)} s ago`,
  ]);
  const titles = ['peer', 'addresses', 'state', 'profile', 'sessions', 'associated', 'heard'];
  return [head, table(titles, rows), messagesText(peers)].join('\n\n');
}

function stateOf({ associated, reachable }: N4Peer): string {
  if (associated !== true) return 'not associated';
  return reachable === true ? 'up' : 'unreachable';
}

function messagesText(peers: readonly N4Peer[]): string {
  const rows = peers.flatMap((peer) =>
    (peer.messages ?? []).map(({ message = '', received, sent, causes = {} }) => [
      peer.node_id ?? '',
      message.replaceAll('_', ' '),
      grouped(received),
      grouped(sent),
      Object.entries(causes)
        .filter(([cause]) => cause !== '1')
        .map(([cause, count]) => `${cause}: ${grouped(count)}`)
        .join(', '),
    ]),
  );
  return table(['peer', 'message', 'received', 'sent', 'refusals'], rows);
}

export const SESSIONS_HEAD = [
  'seid',
  'cp seid',
  'ue ipv4',
  'ue ipv6',
  'dnn',
  'rules',
  'revision',
  'created',
];

export function sessionRow(session: N4Session): string[] {
  const { pdrs = 0, fars = 0, qers = 0, urrs = 0 } = session;
  return [
    hexadecimal(session.seid),
    hexadecimal(session.cp_seid),
    session.ue_ipv4 ?? '',
    session.ue_ipv6_prefix ?? '',
    session.dnn ?? '',
    `${pdrs} PDR, ${fars} FAR, ${qers} QER, ${urrs} URR`,
    String(session.revision ?? ''),
    session.create_time === undefined ? '' : formatTimestamp(session.create_time),
  ];
}

function hexadecimal(value: string | number | undefined): string {
  return `0x${BigInt(value ?? 0).toString(16)}`;
}
