/** Protections as text for people. Pure. */
import type { Protection, SecurityAssociation } from '../api/messages.js';
import { fields, grouped, table } from '../print.js';

export const LIST_HEAD = ['id', 'suite', 'local', 'peer', 'out', 'in', 'rules', 'description'];

export function listRow(protection: Protection): string[] {
  return [
    String(protection.id ?? 0),
    suiteText(protection.suite),
    protection.local_address ?? '',
    protection.peer_address ?? '',
    String(protection.outbound?.length ?? 0),
    String(protection.inbound?.length ?? 0),
    String(protection.references ?? 0),
    protection.description ?? '',
  ];
}

export function protectionText(protection: Protection): string {
  const { outbound = [], inbound = [] } = protection;
  const head = fields([
    ['protection', String(protection.id ?? 0)],
    ['description', protection.description || undefined],
    ['suite', suiteText(protection.suite)],
    ['from', protection.local_address],
    ['to', protection.peer_address],
    ['in UDP', protection.udp_encapsulation === true ? 'port 4500' : undefined],
    ['sequence', protection.short_sequence === true ? '32 bits' : '64 bits'],
    ['window', `${protection.replay_window ?? 0} packets`],
    ['rules', String(protection.references ?? 0)],
    ['revision', String(protection.revision ?? 0)],
  ]);
  const rows = [
    ...outbound.map((one) => associationRow('out', one)),
    ...inbound.map((one) => associationRow('in', one)),
  ];
  const titles = ['way', 'spi', 'number', 'packets', 'bytes', 'replayed', 'not genuine', 'state'];
  return `${head}\n\n${table(titles, rows)}`;
}

function associationRow(way: string, one: SecurityAssociation): string[] {
  return [
    way,
    `0x${(one.spi ?? 0).toString(16)}`,
    ...[one.sequence_number, one.packets, one.bytes, one.replayed, one.not_genuine].map((value) =>
      grouped(value),
    ),
    stateOf(one),
  ];
}

function stateOf({ expired, rekeying_wanted }: SecurityAssociation): string {
  if (expired === true) return 'expired';
  return rekeying_wanted === true ? 'wants new keys' : 'live';
}

function suiteText(suite: string | undefined): string {
  return (suite ?? '').replace('PROTECTION_SUITE_', '').toLowerCase().replaceAll('_', '-');
}
