/** What people see of a session and of its reports. Pure. */
import type {
  Duration,
  Far,
  FTeid,
  MonitoringTime,
  Qer,
  Report,
  Session,
  Uint64,
  Urr,
  UsageReport,
  Volume,
} from '../api/messages.js';
import { formatTimestamp, milliseconds } from '../api/proto-json.js';
import { fields, grouped, table } from '../print.js';
import { formatBytes, formatRate, formatSeconds } from '../units.js';

export const LIST_HEAD = [
  'name',
  'seid',
  'ue ipv4',
  'ue ipv6',
  'dnn',
  'upf',
  'gnb',
  'qfi',
  'owner',
];

/** One row of `session list`. */
export function listRow(session: Session): string[] {
  return [
    session.name ?? '',
    hexadecimal(session.seid),
    ueAddresses(session, 'ipv4'),
    ueAddresses(session, 'ipv6_prefix'),
    session.dnn ?? '',
    unique((session.pdrs ?? []).map((pdr) => fTeidText(pdr.pdi?.local_f_teid))),
    unique((session.fars ?? []).map(tunnelText)),
    unique((session.qers ?? []).map((qer) => (qer.qfi === undefined ? '' : String(qer.qfi)))),
    session.owner ?? '',
  ];
}

/** The field list of `session get` and `session create`. */
export function sessionText(session: Session): string {
  const row = listRow(session);
  const value = (index: number): string | undefined => row[index] || undefined;
  const head = fields([
    ['name', session.name],
    ['seid', value(1)],
    ['revision', String(session.revision ?? '')],
    ['owner', session.owner],
    ['ue ipv4', value(2)],
    ['ue ipv6', value(3)],
    ['dnn', session.dnn],
    ['upf tunnel', value(5)],
    ['gnb tunnel', value(6)],
    ['worker', session.worker === undefined ? '0' : String(session.worker)],
    [
      'created',
      session.create_time === undefined ? undefined : formatTimestamp(session.create_time),
    ],
  ]);
  return [head, ...ruleLines(session)].join('\n');
}

function ruleLines(session: Session): string[] {
  const lines: string[] = [];
  for (const pdr of session.pdrs ?? []) {
    const refs = [`far ${pdr.far_id ?? 0}`, ...(pdr.qer_ids ?? []).map((id) => `qer ${id}`)];
    refs.push(...(pdr.urr_ids ?? []).map((id) => `urr ${id}`));
    const from = (pdr.pdi?.source_interface ?? '').replace('INTERFACE_', '').toLowerCase();
    const filters = (pdr.pdi?.sdf_filters ?? []).map((filter) => `"${filter.flow_description}"`);
    const way = protectionTexts('under', pdr.pdi?.protection_id);
    const match = [`from ${from}`, ...way, ...filters].join(' ');
    lines.push(`pdr ${pdr.id}  precedence ${pdr.precedence ?? 0}, ${match} -> ${refs.join(', ')}`);
  }
  for (const far of session.fars ?? []) lines.push(`far ${far.id}  ${farText(far)}`);
  for (const qer of session.qers ?? []) {
    const rate = (kbps: string | number | undefined) =>
      kbps === undefined ? 'unlimited' : formatRate(Number(kbps));
    const gate = (closed: boolean | undefined) => (closed === true ? 'closed' : 'open');
    lines.push(
      `qer ${qer.id}  ${markText(qer)}, gate ${gate(qer.uplink_gate_closed)} up ` +
        `${gate(qer.downlink_gate_closed)} down, mbr ${rate(qer.uplink_mbr_kbps)} up ` +
        `${rate(qer.downlink_mbr_kbps)} down`,
    );
  }
  for (const urr of session.urrs ?? []) lines.push(`urr ${urr.id}  ${urrText(urr)}`);
  return lines;
}

function markText(qer: Qer): string {
  const rqi = qer.rqi === true ? ', rqi' : '';
  const ppi = qer.ppi === undefined ? '' : `, ppi ${qer.ppi}`;
  return `qfi ${qer.qfi ?? '-'}${rqi}${ppi}`;
}

function urrText(urr: Urr): string {
  const measured = [
    urr.paused === true ? 'paused:' : '',
    urr.measure_volume === true ? 'volume' : '',
    urr.measure_duration === true ? 'duration' : '',
  ].filter((one) => one !== '');
  const parts = [measured.join(' and ').replace(': and', ':') || 'nothing measured'];
  if (urr.instant_start === true) parts.push('from creation on');
  if (urr.measure_before_policing === true) parts.push('before policing');
  parts.push(...volumeTexts('threshold', urr.volume_threshold));
  parts.push(...volumeTexts('quota', urr.volume_quota));
  parts.push(
    ...timeText('time threshold', urr.time_threshold),
    ...timeText('time quota', urr.time_quota),
    ...timeText('quota held for', urr.quota_holding_time),
    ...timeText('quota valid for', urr.quota_validity_time),
    ...timeText('every', urr.period),
    ...timeText('inactive after', urr.inactivity),
  );
  if ((urr.quota_grant ?? 0) !== 0) parts.push(`quota grant ${urr.quota_grant}`);
  if ((urr.quota_far_id ?? 0) !== 0) parts.push(`then far ${urr.quota_far_id}`);
  if (urr.report_start === true) parts.push('reports start');
  if (urr.report_stop === true) parts.push('reports stop');
  if (urr.report_envelope === true) parts.push('reports envelopes');
  if (urr.report_end_marker === true) parts.push('reports End Markers');
  const dropped = urr.dropped_downlink_threshold;
  if (dropped?.packets !== undefined) parts.push(`${dropped.packets} packets dropped down`);
  if (dropped?.bytes !== undefined)
    parts.push(`${formatBytes(Number(dropped.bytes))} dropped down`);
  for (const monitor of urr.monitoring_times ?? []) parts.push(monitorText(monitor));
  const linked = urr.linked_urr_ids ?? [];
  if (linked.length > 0) parts.push(`linked to urr ${linked.join(', ')}`);
  return parts.join(', ');
}

function timeText(what: string, time: Duration | undefined): string[] {
  return time === undefined ? [] : [`${what} ${formatSeconds(milliseconds(time) / 1000)}`];
}

function monitorText(monitor: MonitoringTime): string {
  const limits = [
    ...volumeTexts('threshold', monitor.volume_threshold),
    ...volumeTexts('quota', monitor.volume_quota),
    ...timeText('time threshold', monitor.time_threshold),
    ...timeText('time quota', monitor.time_quota),
  ];
  const from = `from ${new Date(milliseconds(monitor.time)).toISOString().replace('.000', '')} on`;
  return limits.length === 0 ? from : `${from} (${limits.join(', ')})`;
}

function volumeTexts(what: string, volume: Volume | undefined): string[] {
  const bytes = (of: Uint64) => formatBytes(Number(of));
  const { total_bytes: total, uplink_bytes: uplink, downlink_bytes: downlink } = volume ?? {};
  return [
    total === undefined ? '' : `${what} ${bytes(total)}`,
    uplink === undefined ? '' : `${what} ${bytes(uplink)} up`,
    downlink === undefined ? '' : `${what} ${bytes(downlink)} down`,
  ].filter((text) => text !== '');
}

function farText(far: Far): string {
  if (far.drop !== undefined) return 'drop';
  if (far.buffer !== undefined) return far.buffer.notify === true ? 'buffer and notify' : 'buffer';
  const to = (far.forward?.destination_interface ?? '').replace('INTERFACE_', '').toLowerCase();
  const instance = far.forward?.network_instance;
  const tunnel = tunnelText(far);
  return [
    ...['forward to', to, instance ? `(${instance})` : '', tunnel ? `in tunnel ${tunnel}` : ''],
    ...protectionTexts('sealed by', far.forward?.protection_id),
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function protectionTexts(how: string, id: number | undefined): string[] {
  return (id ?? 0) === 0 ? [] : [`${how} protection ${id}`];
}

function tunnelText(far: Far): string {
  const header = far.forward?.outer_header_creation;
  if (header === undefined) return '';
  return `${header.ipv4 ?? header.ipv6 ?? ''}/${hexadecimal(header.teid)}`;
}

function fTeidText(fTeid: FTeid | undefined): string {
  if (fTeid === undefined) return '';
  return `${fTeid.ipv4 ?? fTeid.ipv6 ?? ''}/${hexadecimal(fTeid.chosen_teid ?? fTeid.teid)}`;
}

function ueAddresses(session: Session, family: 'ipv4' | 'ipv6_prefix'): string {
  return unique((session.pdrs ?? []).map((pdr) => pdr.pdi?.ue_address?.[family] ?? ''));
}

function unique(texts: readonly string[]): string {
  return [...new Set(texts.filter((text) => text !== ''))].join(' ');
}

function hexadecimal(value: string | number | undefined): string {
  return value === undefined ? '' : `0x${BigInt(value).toString(16)}`;
}

/** The usage that a deletion or an update returned. */
export function usageTable(usage: readonly UsageReport[]): string {
  return table(
    [
      'urr',
      'report',
      'why',
      'uplink bytes',
      'downlink bytes',
      'uplink packets',
      'downlink packets',
      'duration',
    ],
    usage.map((report) => [
      String(report.urr_id ?? 0),
      String(report.sequence ?? 0),
      triggersText(report),
      grouped(report.uplink_bytes),
      grouped(report.downlink_bytes),
      grouped(report.uplink_packets),
      grouped(report.downlink_packets),
      formatSeconds(milliseconds(report.duration) / 1000),
    ]),
  );
}

function triggersText(report: UsageReport): string {
  const part = report.part === 'USAGE_PART_AFTER_MONITORING_TIME' ? [report.part] : [];
  return [...(report.triggers ?? []), ...part]
    .map((text) =>
      text
        .replace(/USAGE_(TRIGGER|PART)_/, '')
        .toLowerCase()
        .replaceAll('_', ' '),
    )
    .join(', ');
}

/** One line of `session watch`. */
export function reportLine(report: Report): string {
  const time = new Date(milliseconds(report.time)).toISOString().slice(11, 23);
  const { usage } = report;
  let what = 'report';
  if (usage !== undefined) {
    what =
      `usage of urr ${usage.urr_id} #${usage.sequence ?? 0} (${triggersText(usage)}): ` +
      `${grouped(usage.uplink_bytes)} bytes up, ${grouped(usage.downlink_bytes)} bytes down` +
      `, ${formatSeconds(milliseconds(usage.duration) / 1000)}`;
  } else if (report.downlink_data !== undefined) {
    what = `downlink data waits at pdr ${report.downlink_data.pdr_id}`;
  } else if (report.error_indication !== undefined) {
    const { teid, peer } = report.error_indication;
    what = `error indication from ${peer} for teid ${hexadecimal(teid)}`;
  } else if (report.inactivity !== undefined) {
    what = `no traffic on urr ${report.inactivity.urr_id}`;
  }
  return `${time}  ${report.session_name}  ${what}`;
}
