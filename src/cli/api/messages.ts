/**
 * The messages of the public API as this client sees them: names of the proto file, unset
 * fields absent, 64-bit integers as decimal text. Only what the command line reads or writes.
 */
export type Uint64 = string | number;

export interface FTeid {
  teid?: number;
  choose_id?: number;
  ipv4?: string;
  ipv6?: string;
  chosen_teid?: number;
}
export interface UeAddress {
  ipv4?: string;
  ipv6_prefix?: string;
}
export interface SdfFilter {
  flow_description?: string;
}
export interface Pdi {
  source_interface?: string;
  network_instance?: string;
  local_f_teid?: FTeid;
  ue_address?: UeAddress;
  sdf_filters?: SdfFilter[];
  qfis?: number[];
  framed_routes?: string[];
  protection_id?: number;
}
export interface Pdr {
  id?: number;
  precedence?: number;
  pdi?: Pdi;
  outer_header_removal?: string;
  far_id?: number;
  qer_ids?: number[];
  urr_ids?: number[];
}
export interface OuterHeaderCreation {
  teid?: number;
  ipv4?: string;
  ipv6?: string;
  udp_port?: number;
}
export interface Forward {
  destination_interface?: string;
  network_instance?: string;
  outer_header_creation?: OuterHeaderCreation;
  dscp?: number;
  protection_id?: number;
}
export interface Far {
  id?: number;
  forward?: Forward;
  drop?: object;
  buffer?: { notify?: boolean; bar_id?: number };
  duplicates?: Forward[];
}
export interface Qer {
  id?: number;
  uplink_gate_closed?: boolean;
  downlink_gate_closed?: boolean;
  uplink_mbr_kbps?: Uint64;
  downlink_mbr_kbps?: Uint64;
  qfi?: number;
  rqi?: boolean;
  ppi?: number;
}
export interface Volume {
  total_bytes?: Uint64;
  uplink_bytes?: Uint64;
  downlink_bytes?: Uint64;
}
export interface Urr {
  id?: number;
  measure_volume?: boolean;
  measure_duration?: boolean;
  measure_before_policing?: boolean;
  volume_threshold?: Volume;
  volume_quota?: Volume;
  time_threshold?: Duration;
  time_quota?: Duration;
  period?: Duration;
  inactivity?: Duration;
  linked_urr_ids?: number[];
  quota_far_id?: number;
  report_start?: boolean;
  report_stop?: boolean;
  quota_grant?: number;
  quota_holding_time?: Duration;
  quota_validity_time?: Duration;
  dropped_downlink_threshold?: { packets?: Uint64; bytes?: Uint64 };
  monitoring_times?: MonitoringTime[];
  report_end_marker?: boolean;
  report_envelope?: boolean;
  instant_start?: boolean;
  paused?: boolean;
}
export interface MonitoringTime {
  time?: Timestamp;
  volume_threshold?: Volume;
  volume_quota?: Volume;
  time_threshold?: Duration;
  time_quota?: Duration;
}
export interface Session {
  name?: string;
  seid?: Uint64;
  revision?: Uint64;
  owner?: string;
  pdn_type?: string;
  dnn?: string;
  pdrs?: Pdr[];
  fars?: Far[];
  qers?: Qer[];
  urrs?: Urr[];
  bars?: object[];
  create_time?: Timestamp;
  worker?: number;
}
export interface Timestamp {
  seconds?: Uint64;
  nanos?: number;
}
export type Duration = Timestamp;

export interface UsageReport {
  urr_id?: number;
  sequence?: number;
  triggers?: string[];
  uplink_bytes?: Uint64;
  downlink_bytes?: Uint64;
  uplink_packets?: Uint64;
  downlink_packets?: Uint64;
  duration?: Duration;
  start_time?: Timestamp;
  end_time?: Timestamp;
  part?: string;
}
export interface Report {
  cursor?: string;
  session_name?: string;
  seid?: Uint64;
  time?: Timestamp;
  usage?: UsageReport;
  downlink_data?: { pdr_id?: number; qfi?: number };
  error_indication?: { teid?: number; peer?: string };
  inactivity?: { urr_id?: number };
}
export interface ListSessionsResponse {
  sessions?: Session[];
  next_page_token?: string;
  total?: Uint64;
}
export interface UpdateSessionResponse {
  session?: Session;
  usage?: UsageReport[];
}
export interface DeleteSessionResponse {
  usage?: UsageReport[];
}
export interface NodePort {
  name?: string;
  driver?: string;
  state?: string;
  addresses?: string[];
  capabilities?: Record<string, string>;
}
export interface NodeWorker {
  id?: number;
  core?: number;
  numa_node?: number;
  poll?: string;
  queues?: string[];
}
export interface Node {
  id?: string;
  version?: string;
  start_time?: Timestamp;
  ports?: NodePort[];
  workers?: NodeWorker[];
  warnings?: string[];
  crypto_tier?: string;
  path_tier?: string;
  sessions?: Uint64;
  peers?: NodePeer[];
  peers_total?: Uint64;
  placement?: Placement;
  crypto_lanes?: { lanes?: number; threads?: number; cores?: number[] };
}
export interface Placement {
  control_cores?: number[];
  memory_pages?: string;
  memory_bytes?: Uint64;
  packet_pages?: { numa_node?: number; pages?: number }[];
}
export interface NodePeer {
  address?: string;
  udp_port?: number;
  port?: string;
  state?: string;
  round_trip_us?: number;
  transitions?: number;
}
export interface PortStats {
  name?: string;
  rx_packets?: Uint64;
  rx_bytes?: Uint64;
  tx_packets?: Uint64;
  tx_bytes?: Uint64;
  tx_full?: Uint64;
  rx_missed?: Uint64;
  rx_no_buffer?: Uint64;
  rx_ignored?: Uint64;
}
export interface WorkerStats {
  id?: number;
  cycles_per_packet?: number;
  burst_fill?: number;
  longest_stall_ns?: Uint64;
  busy?: number;
  buckets?: number;
  buckets_taken?: Uint64;
}
export interface SessionTraffic {
  name?: string;
  seid?: Uint64;
  owner?: string;
  uplink_packets?: number;
  downlink_packets?: number;
  uplink_bytes?: number;
  downlink_bytes?: number;
  dropped_packets?: number;
}
export interface Stats {
  time?: Timestamp;
  sessions?: Uint64;
  ports?: PortStats[];
  workers?: WorkerStats[];
  dropped?: Record<string, Uint64>;
  created?: Uint64;
  held?: Uint64;
  busiest?: SessionTraffic[];
  driver?: { flows?: Uint64; forwarded_packets?: Uint64 };
}
export interface TraceResponse {
  steps?: { stage?: string; decision?: string; seid?: Uint64; rule_id?: number }[];
  verdict?: string;
  drop_reason?: string;
  outputs?: { port?: string; packet?: Uint8Array }[];
}
export interface CaptureChunk {
  pcapng?: Uint8Array;
  lost?: Uint64;
  packets?: Uint64;
  trailer?: Uint8Array;
}
export interface SecurityAssociation {
  spi?: number;
  key?: Uint8Array;
  salt?: Uint8Array;
  authentication_key?: Uint8Array;
  sequence_number?: Uint64;
  packets?: Uint64;
  bytes?: Uint64;
  replayed?: Uint64;
  not_genuine?: Uint64;
  malformed?: Uint64;
  rekeying_wanted?: boolean;
  expired?: boolean;
}
export interface Protection {
  id?: number;
  description?: string;
  suite?: string;
  local_address?: string;
  peer_address?: string;
  udp_encapsulation?: boolean;
  short_sequence?: boolean;
  replay_window?: number;
  outbound?: SecurityAssociation[];
  inbound?: SecurityAssociation[];
  revision?: Uint64;
  references?: number;
  create_time?: Timestamp;
}
export interface ListProtectionsResponse {
  protections?: Protection[];
  next_page_token?: string;
  total?: Uint64;
}
export interface ProtectionEvent {
  time?: Timestamp;
  id?: number;
  spi?: number;
  kind?: string;
  packets?: Uint64;
}
export interface N4Peer {
  node_id?: string;
  addresses?: string[];
  associated?: boolean;
  reachable?: boolean;
  associated_since?: Timestamp;
  recovery_time_stamp?: Timestamp;
  silent_for?: Duration;
  profile?: string;
  sessions?: Uint64;
  applications?: number;
  cp_features?: number;
  messages?: {
    message?: string;
    received?: Uint64;
    sent?: Uint64;
    causes?: Record<string, Uint64>;
  }[];
  duplicates?: Uint64;
  retransmissions?: Uint64;
}
export interface ListPeersResponse {
  peers?: N4Peer[];
  listen?: string[];
}
export interface N4TraceMessage {
  time?: Timestamp;
  sent?: boolean;
  local?: string;
  remote?: string;
  node_id?: string;
  message?: string;
  seid?: Uint64;
  sequence?: number;
  elements?: string;
  faults?: string[];
  pfcp?: Uint8Array;
}
export interface N4TraceChunk {
  messages?: N4TraceMessage[];
  lost?: Uint64;
}
export interface N4Session {
  name?: string;
  seid?: Uint64;
  cp_seid?: Uint64;
  ue_ipv4?: string;
  ue_ipv6_prefix?: string;
  dnn?: string;
  pdrs?: number;
  fars?: number;
  qers?: number;
  urrs?: number;
  revision?: Uint64;
  create_time?: Timestamp;
}
export interface ListPeerSessionsResponse {
  sessions?: N4Session[];
  next_page_token?: string;
  total?: Uint64;
}
