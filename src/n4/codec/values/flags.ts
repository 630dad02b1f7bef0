/**
 * This folder: how the values of elements are read, one file each, into objects that are used
 * again, from where the reader found them; writers are methods of ../message-writer.ts. Any
 * thread, as nothing is shared. Start at f-teid.ts.
 *
 * This file: bits of flag values as MessageReader.flags() gives them: octet 5 in the low byte, octet 6
 * above it, then octet 7. Source: TS 29.244 clause 8.2.
 */

/** Apply Action. */
export const ACTION_DROP = 0x1;
export const ACTION_FORW = 0x2;
export const ACTION_BUFF = 0x4;
export const ACTION_NOCP = 0x8;
export const ACTION_DUPL = 0x10;
export const ACTION_IPMA = 0x20;
export const ACTION_IPMD = 0x40;
export const ACTION_DFRT = 0x80;
export const ACTION_EDRT = 0x100;
export const ACTION_BDPN = 0x200;
export const ACTION_DDPN = 0x400;

/** Measurement Method. */
export const METHOD_DURATION = 1;
export const METHOD_VOLUME = 2;
export const METHOD_EVENT = 4;

/** Measurement Information. */
export const MEASURE_BEFORE_QER = 0x1;
export const MEASURE_INACTIVE = 0x2;
export const MEASURE_REDUCED_APPLICATION = 0x4;
export const MEASURE_IMMEDIATE_START = 0x8;
export const MEASURE_PACKETS = 0x10;

/** Reporting Triggers. */
export const TRIGGER_PERIO = 0x1;
export const TRIGGER_VOLTH = 0x2;
export const TRIGGER_TIMTH = 0x4;
export const TRIGGER_QUHTI = 0x8;
export const TRIGGER_START = 0x10;
export const TRIGGER_STOPT = 0x20;
export const TRIGGER_DROTH = 0x40;
export const TRIGGER_LIUSA = 0x80;
export const TRIGGER_VOLQU = 0x100;
export const TRIGGER_TIMQU = 0x200;
export const TRIGGER_ENVCL = 0x400;
export const TRIGGER_MACAR = 0x800;
export const TRIGGER_EVETH = 0x1000;
export const TRIGGER_EVEQU = 0x2000;
export const TRIGGER_IPMJL = 0x4000;
export const TRIGGER_QUVTI = 0x8000;
export const TRIGGER_REEMR = 0x10000;
export const TRIGGER_UPINT = 0x20000;

/** Usage Report Trigger: why a report is sent, in other places than the triggers above. */
export const REPORT_PERIO = 0x1;
export const REPORT_VOLTH = 0x2;
export const REPORT_TIMTH = 0x4;
export const REPORT_QUHTI = 0x8;
export const REPORT_START = 0x10;
export const REPORT_STOPT = 0x20;
export const REPORT_DROTH = 0x40;
export const REPORT_IMMER = 0x80;
export const REPORT_VOLQU = 0x100;
export const REPORT_TIMQU = 0x200;
export const REPORT_LIUSA = 0x400;
export const REPORT_TERMR = 0x800;
export const REPORT_MONIT = 0x1000;
export const REPORT_ENVCL = 0x2000;
export const REPORT_MACAR = 0x4000;
export const REPORT_EVETH = 0x8000;
export const REPORT_EVEQU = 0x10000;
export const REPORT_TEBUR = 0x20000;
export const REPORT_IPMJL = 0x40000;
export const REPORT_QUVTI = 0x80000;
export const REPORT_EMRRE = 0x100000;
export const REPORT_UPINT = 0x200000;

/** Report Type. */
export const REPORT_TYPE_DOWNLINK_DATA = 1;
export const REPORT_TYPE_USAGE = 2;
export const REPORT_TYPE_ERROR_INDICATION = 4;
export const REPORT_TYPE_INACTIVITY = 8;

/** PFCPSMReq-Flags, PFCPSRRsp-Flags, PFCPSEReq-Flags. */
export const MODIFICATION_DROBU = 1;
export const MODIFICATION_SNDEM = 2;
export const MODIFICATION_QAURR = 4;
export const REPORT_RESPONSE_DROBU = 1;
export const ESTABLISHMENT_RESTI = 1;

/** PFCP Association Release Request. */
export const RELEASE_SARR = 1;
export const RELEASE_URSS = 2;

/** CP Function Features. */
export const CP_LOAD = 0x1;
export const CP_OVRL = 0x2;
export const CP_EPFAR = 0x4;
export const CP_SSET = 0x8;
export const CP_BUNDL = 0x10;
export const CP_MPAS = 0x20;
export const CP_ARDR = 0x40;
export const CP_UIAUR = 0x80;

/** UP Function Features, octets 5 and 6, then 7 and 8: each pair a number of its own. */
export const UP_BUCP = 0x1;
export const UP_DDND = 0x2;
export const UP_DLBD = 0x4;
export const UP_TRST = 0x8;
export const UP_FTUP = 0x10;
export const UP_PFDM = 0x20;
export const UP_HEEU = 0x40;
export const UP_TREU = 0x80;
export const UP_EMPU = 0x100;
export const UP_PDIU = 0x200;
export const UP_UDBC = 0x400;
export const UP_QUOAC = 0x800;
export const UP_TRACE = 0x1000;
export const UP_FRRT = 0x2000;
export const UP_PFDE = 0x4000;
export const UP_EPFAR = 0x8000;
export const UP2_DPDRA = 0x1;
export const UP2_ADPDP = 0x2;
export const UP2_UEIP = 0x4;
export const UP2_SSET = 0x8;
export const UP2_MNOP = 0x10;
export const UP2_MTE = 0x20;
export const UP2_BUNDL = 0x40;
export const UP2_GCOM = 0x80;
export const UP2_MPAS = 0x100;
export const UP2_RTTL = 0x200;
export const UP2_VTIME = 0x400;
export const UP2_NORP = 0x800;
export const UP2_IPTV = 0x1000;
export const UP2_IP6PL = 0x2000;
