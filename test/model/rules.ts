/**
 * The model: what a UPF does with sessions and packets, written from the specification
 * (conformance sections 4 and 5, TS 29.244) and the API's words, not from the packet path's
 * code, and slow enough to be obviously right. upf-model.ts is the place to start; run.ts plays
 * random sequences against it and the real thing. Here: sessions as the API's JSON has them.
 */

export interface SdfFilter {
  readonly flow_description?: string;
  readonly tos?: number;
  readonly tos_mask?: number;
  readonly spi?: number;
  readonly flow_label?: number;
}
export interface FTeid {
  readonly teid?: number;
  readonly choose_id?: number;
  readonly ipv4?: string;
  readonly ipv6?: string;
}
export type Interface = 'access' | 'core' | 'cp_function';
export interface Pdi {
  readonly source_interface: Interface;
  readonly network_instance?: string;
  readonly local_f_teid?: FTeid;
  readonly ue_address?: { readonly ipv4?: string; readonly ipv6_prefix?: string };
  readonly sdf_filters?: readonly SdfFilter[];
  readonly qfis?: readonly number[];
  readonly framed_routes?: readonly string[];
}
export interface Pdr {
  readonly id: number;
  readonly precedence: number;
  readonly pdi: Pdi;
  readonly outer_header_removal?: 'gtpu' | 'none';
  readonly far_id: number;
  readonly qer_ids?: readonly number[];
  readonly urr_ids?: readonly number[];
}
export interface OuterHeader {
  readonly teid: number;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly udp_port?: number;
}
export interface Forward {
  readonly destination_interface: Interface;
  readonly network_instance?: string;
  readonly outer_header_creation?: OuterHeader;
  readonly dscp?: number;
}
export interface Far {
  readonly id: number;
  readonly forward?: Forward;
  readonly drop?: object;
  readonly buffer?: { readonly notify?: boolean; readonly bar_id?: number };
  readonly duplicates?: readonly Forward[];
}
export interface Bar {
  readonly id: number;
  readonly notification_delay?: string;
  readonly packet_limit?: number;
}
export interface Qer {
  readonly id: number;
  readonly uplink_gate_closed?: boolean;
  readonly downlink_gate_closed?: boolean;
  readonly uplink_mbr_kbps?: number;
  readonly downlink_mbr_kbps?: number;
  readonly qfi?: number;
  readonly rqi?: boolean;
  readonly ppi?: number;
  readonly shared_bucket?: string;
}
export interface Volume {
  readonly total_bytes?: number;
  readonly uplink_bytes?: number;
  readonly downlink_bytes?: number;
}
export interface MonitoringTime {
  /** In whole seconds. */
  readonly time: string;
  readonly volume_threshold?: Volume;
  readonly volume_quota?: Volume;
  readonly time_threshold?: string;
  readonly time_quota?: string;
}
export interface Urr {
  readonly id: number;
  readonly measure_volume?: boolean;
  readonly measure_duration?: boolean;
  readonly volume_threshold?: Volume;
  readonly volume_quota?: Volume;
  readonly measure_before_policing?: boolean;
  /** Whole seconds, as "10s". */
  readonly time_threshold?: string;
  readonly time_quota?: string;
  readonly period?: string;
  readonly inactivity?: string;
  readonly linked_urr_ids?: readonly number[];
  readonly quota_far_id?: number;
  readonly report_start?: boolean;
  readonly report_stop?: boolean;
  readonly quota_grant?: number;
  readonly quota_holding_time?: string;
  readonly quota_validity_time?: string;
  readonly dropped_downlink_threshold?: { readonly packets?: number; readonly bytes?: number };
  readonly monitoring_times?: readonly MonitoringTime[];
  readonly report_end_marker?: boolean;
  readonly report_envelope?: boolean;
  readonly instant_start?: boolean;
  readonly paused?: boolean;
}
export interface Session {
  readonly name: string;
  readonly pdn_type: 'ipv4v6';
  readonly pdrs: readonly Pdr[];
  readonly fars: readonly Far[];
  readonly qers: readonly Qer[];
  readonly urrs: readonly Urr[];
  readonly bars: readonly Bar[];
}

export type Direction = 'uplink' | 'downlink';

export function nanosecondsOf(seconds: string): number {
  return Number.parseFloat(seconds) * 1e9;
}

/** From the UE or towards it: the source interface says. */
export function directionOf(pdr: Pdr): Direction {
  return pdr.pdi.source_interface === 'access' ? 'uplink' : 'downlink';
}

export function farOf(session: Session, id: number): Far {
  return session.fars.find((far) => far.id === id)!;
}
export function qersOf(session: Session, pdr: Pdr): Qer[] {
  return (pdr.qer_ids ?? []).map((id) => session.qers.find((qer) => qer.id === id)!);
}

/** Those that PDRs name, and those behind the quotas of their URRs, but for paused ones. */
export function farsInUse({ pdrs, urrs, fars }: Session): Far[] {
  const ids = new Set(pdrs.map((pdr) => pdr.far_id));
  for (const { id, quota_far_id: far, paused } of urrs) {
    const applies = paused !== true && pdrs.some((pdr) => pdr.urr_ids?.includes(id));
    if (applies && far !== undefined) ids.add(far);
  }
  return fars.filter((far) => ids.has(far.id));
}

/** Each tunnel that a FAR of these forwards into, once; copies don't count. */
export function tunnelsOf(fars: readonly Far[]): OuterHeader[] {
  const tunnels = new Map<string, OuterHeader>();
  for (const { forward } of fars) {
    const outer = forward?.outer_header_creation;
    if (outer !== undefined) tunnels.set(tunnelName(outer), outer);
  }
  return [...tunnels.values()];
}
export function tunnelName({ teid, ipv4, ipv6, udp_port }: OuterHeader): string {
  return `${teid} ${ipv4 ?? ipv6} ${udp_port ?? ''}`;
}
