/**
 * The layout of a session record, word by word: the mirror of native/session/record.h,
 * which explains it. Names are those of the header in capitals, with the table in front.
 * Numbers only, so that the compiler puts them in place. record-layout.test.ts reads the
 * header and fails when the two differ.
 */

export const RECORD_MAGIC = 0x31524c53;
export const RECORD_BYTES_MAX = 256 * 1024 - 4;
export const RECORD_WORDS_MAX = RECORD_BYTES_MAX / 4;

/** Tables in the order of the record. */
export const TABLE_PDR = 0;
export const TABLE_FAR = 1;
export const TABLE_QER = 2;
export const TABLE_URR = 3;
export const TABLE_BAR = 4;

export const HEADER_WORDS = 24;
export const HEADER_MAGIC = 0;
export const HEADER_BYTES = 1;
export const HEADER_SEID_LOW = 2;
export const HEADER_SEID_HIGH = 3;
export const HEADER_REVISION_LOW = 4;
export const HEADER_REVISION_HIGH = 5;
export const HEADER_NAME = 6;
export const HEADER_OWNER = 7;
export const HEADER_DNN = 8;
export const HEADER_SESSION_INDEX = 9;
export const HEADER_COUNTS1 = 10;
export const HEADER_COUNTS2 = 11;
export const HEADER_CREATE_TIME_LOW = 12;
export const HEADER_CREATE_TIME_HIGH = 13;
export const HEADER_INCARNATION = 14;
export const HEADER_UE_IPV4 = 15;
export const HEADER_UE_PREFIX_HIGH = 16;
export const HEADER_UE_PREFIX_LOW = 17;
export const HEADER_FLAGS = 18;
export const HEADER_UE_INSTANCE = 19;
export const HEADER_PLACE = 20;
export const HEADER_CP_SEID_LOW = 21;
export const HEADER_CP_SEID_HIGH = 22;
export const HEADER_SHADOW = 23;
export const UE_IPV4 = 1;
export const UE_IPV6 = 2;
export const UE_IPV4_FROM_POOL = 4;
export const UE_IPV6_FROM_POOL = 8;
export const UE_INTERFACE_SHIFT = 16;

export const PDR_WORDS = 16;
export const PDR_ID = 0;
export const PDR_PRECEDENCE = 1;
export const PDR_INSTANCE = 2;
export const PDR_TEID = 3;
export const PDR_F_TEID = 4;
export const PDR_LOCAL_IPV4 = 5;
export const PDR_LOCAL_IPV6 = 6;
export const PDR_QFIS_LOW = 10;
export const PDR_QFIS_HIGH = 11;
export const PDR_FILTERS = 12;
export const PDR_LISTS = 13;
/** In its high half the number of the protection that packets come under. */
export const PDR_FRAMED_ROUTES = 14;
export const PDR_ROUTES_TEXT = 15;
export const F_TEID_PRESENT = 1;
export const F_TEID_CHOSEN_HERE = 2;
export const F_TEID_IPV4 = 4;
export const F_TEID_IPV6 = 8;
export const F_TEID_UNSHARED = 16;
export const F_TEID_ADDRESS_HERE = 32;
export const F_TEID_ENDPOINT = 64;
export const PDR_UE_IPV4 = 1;
export const PDR_UE_IPV6 = 2;
export const PDR_UE_IPV4_AUTO = 4;
export const PDR_UE_IPV6_AUTO = 8;
/** Words of one framed route: is v6, prefix length, address. */
export const ROUTE_WORDS = 6;

export const FAR_WORDS = 12;
export const FAR_ID = 0;
export const FAR_ACTION = 1;
export const FAR_INSTANCE = 2;
export const FAR_TEID = 3;
export const FAR_IPV4 = 4;
export const FAR_IPV6 = 5;
export const FAR_UDP_PORT = 9;
export const FAR_DUPLICATES = 10;
export const FAR_PROTECTION = 11;
/** Protections have the numbers 1 to this one. */
export const PROTECTION_MAX = 16_384;
export const ACTION_FORWARD = 1;
export const ACTION_DROP = 2;
export const ACTION_BUFFER = 3;
export const FAR_OUTER_HEADER = 1;
export const FAR_OUTER_IPV4 = 2;
export const FAR_OUTER_IPV6 = 4;
export const FAR_DSCP = 8;
export const FAR_NOTIFY = 16;

export const QER_WORDS = 12;
export const QER_ID = 0;
export const QER_FLAGS = 1;
export const QER_UPLINK_MBR_LOW = 2;
export const QER_UPLINK_MBR_HIGH = 3;
export const QER_DOWNLINK_MBR_LOW = 4;
export const QER_DOWNLINK_MBR_HIGH = 5;
export const QER_UPLINK_GBR_LOW = 6;
export const QER_UPLINK_GBR_HIGH = 7;
export const QER_DOWNLINK_GBR_LOW = 8;
export const QER_DOWNLINK_GBR_HIGH = 9;
export const QER_QFI = 10;
export const QER_SHARED_BUCKET = 11;
export const QER_UPLINK_CLOSED = 1;
export const QER_DOWNLINK_CLOSED = 2;
export const QER_UPLINK_MBR = 4;
export const QER_DOWNLINK_MBR = 8;
export const QER_UPLINK_GBR = 16;
export const QER_DOWNLINK_GBR = 32;
export const QER_HAS_QFI = 64;
export const QER_RQI = 128;
export const QER_HAS_PPI = 256;

export const URR_WORDS = 20;
export const URR_ID = 0;
export const URR_FLAGS = 1;
export const URR_THRESHOLD_TOTAL = 2;
export const URR_THRESHOLD_UPLINK = 4;
export const URR_THRESHOLD_DOWNLINK = 6;
export const URR_QUOTA_TOTAL = 8;
export const URR_QUOTA_UPLINK = 10;
export const URR_QUOTA_DOWNLINK = 12;
export const URR_TIME_THRESHOLD_MS = 14;
export const URR_TIME_QUOTA_MS = 15;
export const URR_PERIOD_MS = 16;
export const URR_INACTIVITY_MS = 17;
export const URR_LINKED = 18;
export const URR_QUOTA_FAR = 19;
export const URR_VOLUME = 1;
export const URR_DURATION = 2;
export const URR_BEFORE_POLICING = 4;
export const URR_HAS_THRESHOLD_TOTAL = 8;
export const URR_HAS_THRESHOLD_UPLINK = 16;
export const URR_HAS_THRESHOLD_DOWNLINK = 32;
export const URR_HAS_QUOTA_TOTAL = 64;
export const URR_HAS_QUOTA_UPLINK = 128;
export const URR_HAS_QUOTA_DOWNLINK = 256;
export const URR_HAS_TIME_THRESHOLD = 512;
export const URR_HAS_TIME_QUOTA = 1024;
export const URR_HAS_PERIOD = 2048;
export const URR_HAS_INACTIVITY = 4096;
export const URR_REPORT_START = 8192;
export const URR_REPORT_STOP = 16384;
export const URR_REPORT_END_MARKER = 32768;
export const URR_REPORT_ENVELOPE = 65536;
export const URR_INSTANT_START = 131072;
export const URR_PAUSED = 262144;
export const URR_COUNT_PACKETS = 524288;
/** The words of URR_MORE_… are there; writers fill them in RuleReferences.more. */
export const URR_MORE = 1048576;
/** The packet path knows nothing of it. */
export const URR_REPORT_INACTIVITY = 2097152;
/** URR_QUOTA_FAR holds the FAR's index + 1 in its low 8 bits and the quota grant above them. */
export const URR_QUOTA_GRANT_SHIFT = 8;
export const URR_QUOTA_GRANT_MAX = 0xff_ffff;

export const URR_MORE_WORDS = 8;
export const URR_MORE_FLAGS = 0;
export const URR_MORE_QUOTA_HOLDING_MS = 1;
export const URR_MORE_QUOTA_VALIDITY_MS = 2;
export const URR_MORE_MONITORS = 3;
export const URR_MORE_DROPPED_PACKETS = 4;
export const URR_MORE_DROPPED_BYTES = 6;
export const URR_MORE_HAS_QUOTA_HOLDING = 1;
export const URR_MORE_HAS_QUOTA_VALIDITY = 2;
export const URR_MORE_HAS_DROPPED_PACKETS = 4;
export const URR_MORE_HAS_DROPPED_BYTES = 8;

/** Words 1 to 15 are those of a URR, with its flags for what is there. */
export const MONITOR_WORDS = 16;
export const MONITOR_TIME_S = 0;
export const MONITOR_FLAGS = 1;
export const MONITOR_THRESHOLD_TOTAL = 2;
export const MONITOR_QUOTA_TOTAL = 8;
export const MONITOR_TIME_THRESHOLD_MS = 14;
export const MONITOR_TIME_QUOTA_MS = 15;
/** Monitoring times of one URR. */
export const MONITORS_MAX = 16;

export const BAR_WORDS = 4;
export const BAR_ID = 0;
export const BAR_NOTIFICATION_DELAY_MS = 1;
export const BAR_PACKET_LIMIT = 2;

export const FILTER_WORDS = 16;
export const FILTER_FLAGS = 0;
export const FILTER_PROTOCOL = 1;
export const FILTER_SOURCE = 2;
export const FILTER_DESTINATION = 6;
export const FILTER_SOURCE_PORTS = 10;
export const FILTER_DESTINATION_PORTS = 11;
export const FILTER_TOS = 12;
export const FILTER_SPI = 13;
export const FILTER_FLOW_LABEL = 14;
export const FILTER_TEXT = 15;
export const FILTER_FLOW = 1;
export const FILTER_HAS_TOS = 2;
export const FILTER_HAS_SPI = 4;
export const FILTER_HAS_FLOW_LABEL = 8;
export const FILTER_SOURCE_IPV4 = 16;
export const FILTER_SOURCE_IPV6 = 32;
export const FILTER_DESTINATION_IPV4 = 64;
export const FILTER_DESTINATION_IPV6 = 128;
export const FILTER_SOURCE_ASSIGNED = 256;
export const FILTER_DESTINATION_ASSIGNED = 512;
export const FILTER_ANY_PROTOCOL = 1024;
export const FILTER_HAS_TOS_MASK = 2048;

/** interface of the API, also that of source and destination bytes in a record */
export const INTERFACE_ACCESS = 1;
export const INTERFACE_CORE = 2;
export const INTERFACE_N6_LAN = 3;
export const INTERFACE_CP_FUNCTION = 4;

export const PDN_TYPE_IPV4 = 1;
export const PDN_TYPE_IPV6 = 2;
export const PDN_TYPE_IPV4V6 = 3;
export const PDN_TYPE_NON_IP = 4;
export const PDN_TYPE_ETHERNET = 5;
