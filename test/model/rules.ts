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
export interface Pdi {
  readonly source_interface: 'access' | 'core';
  readonly network_instance?: string;
  readonly local_f_teid?: FTeid;
  readonly ue_address?: { readonly ipv4?: string; readonly ipv6_prefix?: string };
  readonly sdf_filters?: readonly SdfFilter[];
  readonly qfis?: readonly number[];
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
  readonly destination_interface: 'access' | 'core';
  readonly network_instance?: string;
  readonly outer_header_creation?: OuterHeader;
  readonly dscp?: number;
}
export interface Far {
  readonly id: number;
  readonly forward?: Forward;
  readonly drop?: object;
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
export interface Urr {
  readonly id: number;
  readonly measure_volume?: boolean;
  readonly measure_duration?: boolean;
  readonly volume_threshold?: Volume;
  readonly volume_quota?: Volume;
}
export interface Session {
  readonly name: string;
  readonly pdn_type: 'ipv4v6';
  readonly pdrs: readonly Pdr[];
  readonly fars: readonly Far[];
  readonly qers: readonly Qer[];
  readonly urrs: readonly Urr[];
}

export type Direction = 'uplink' | 'downlink';

/** From the UE or towards it: the source interface says. */
export function directionOf(pdr: Pdr): Direction {
  return pdr.pdi.source_interface === 'access' ? 'uplink' : 'downlink';
}
