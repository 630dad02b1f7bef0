/**
 * The session that the flags of `session create` describe: one uplink and one downlink
 * rule, one QER, and a URR when usage is to be reported. Also the changes that `session
 * update` makes to a session that is there. Pure.
 */
import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { usageError } from '../../tools/tool-error.js';
import type {
  Duration,
  Far,
  OuterHeaderCreation,
  Qer,
  Session,
  UeAddress,
  Urr,
} from '../api/messages.js';
import { milliseconds } from '../api/proto-json.js';
import { parseBytes, parseInteger, parseRateKbps, parseSeconds } from '../units.js';

export interface RuleFlags {
  gnb?: string;
  gnbTeid?: string;
  qfi?: string;
  mbrUl?: string;
  mbrDl?: string;
  gateUl?: string;
  gateDl?: string;
  volumeThreshold?: string;
  volumeQuota?: string;
  period?: string;
  timeThreshold?: string;
  timeQuota?: string;
  inactivity?: string;
}
export interface SessionFlags extends RuleFlags {
  name?: string;
  ueIp?: string;
  ueIp6?: string;
  dnn?: string;
  teid?: string;
}

/** Flags that say what a file says; beside one they would count for nothing. */
const RULE_FLAGS: readonly (keyof SessionFlags)[] = [
  'name',
  'ueIp',
  'ueIp6',
  'dnn',
  'teid',
  'gnb',
  'gnbTeid',
  'qfi',
  'mbrUl',
  'mbrDl',
  'gateUl',
  'gateDl',
  'volumeThreshold',
  'volumeQuota',
  'period',
  'timeThreshold',
  'timeQuota',
  'inactivity',
];

export function refuseRuleFlags(flags: SessionFlags): void {
  const given = RULE_FLAGS.find((flag) => flags[flag] !== undefined);
  if (given === undefined) return;
  const flag = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw usageError(`--${flag}: does not go with -f, where the file says it`);
}

export const DEFAULT_GNB_ADDRESS = '127.0.0.2';
export const DEFAULT_DNN = 'internet';
const DEFAULT_QFI = '9';
const PRECEDENCE = 255;
const TEID_MAX = 0xffffffff;
/** Numbers that a quota grant can have. */
const GRANTS = 2 ** 24;

/** A session as `session create` sends it. */
export function sessionFromFlags(flags: SessionFlags): Session {
  if (flags.name === undefined) throw usageError('--name is needed (or -f FILE)');
  const ueAddress = ueAddressOf(flags);
  const dnn = flags.dnn ?? DEFAULT_DNN;
  const localFTeid =
    flags.teid === undefined
      ? { choose_id: 1 }
      : { teid: parseInteger(flags.teid, '--teid', 1, TEID_MAX) };
  const session: Session = {
    name: flags.name,
    pdn_type: pdnType(ueAddress),
    dnn,
    pdrs: [
      {
        id: 1,
        precedence: PRECEDENCE,
        pdi: {
          source_interface: 'INTERFACE_ACCESS',
          local_f_teid: localFTeid,
          ue_address: ueAddress,
          network_instance: dnn,
        },
        outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU',
        far_id: 1,
        qer_ids: [1],
      },
      {
        id: 2,
        precedence: PRECEDENCE,
        pdi: { source_interface: 'INTERFACE_CORE', network_instance: dnn, ue_address: ueAddress },
        far_id: 2,
        qer_ids: [1],
      },
    ],
    fars: [
      { id: 1, forward: { destination_interface: 'INTERFACE_CORE', network_instance: dnn } },
      {
        id: 2,
        forward: {
          destination_interface: 'INTERFACE_ACCESS',
          outer_header_creation: {
            teid: teidOfName(flags.name),
            ...gnbAddress(DEFAULT_GNB_ADDRESS),
          },
        },
      },
    ],
    qers: [{ id: 1 }],
  };
  applyRuleFlags(session, { qfi: DEFAULT_QFI, ...flags });
  return session;
}

/** Changes what the flags name in a session as the server returned it, and nothing else. */
export function applyRuleFlags(session: Session, flags: RuleFlags): void {
  for (const far of session.fars ?? []) retarget(far, flags);
  if (touchesQer(flags)) {
    if ((session.qers ?? []).length === 0) attachQer(session);
    for (const qer of session.qers ?? []) applyQerFlags(qer, flags);
  }
  if (touchesUrr(flags)) {
    if ((session.urrs ?? []).length === 0) attachUrr(session);
    for (const urr of session.urrs ?? []) applyUrrFlags(urr, flags);
  }
}

/** Takes the output fields out of a session, so that it can be sent as a request. */
export function withoutOutputs(session: Session): Session {
  const { seid, revision, owner, create_time, worker, ...rest } = session;
  for (const pdr of rest.pdrs ?? []) {
    const fTeid = pdr.pdi?.local_f_teid;
    if (fTeid === undefined) continue;
    delete fTeid.chosen_teid;
    if (fTeid.choose_id !== undefined) {
      delete fTeid.ipv4;
      delete fTeid.ipv6;
    }
  }
  return rest;
}

/** The gNB's TEID when none is given: of the name, so that the same command asks for the same. */
function teidOfName(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) || 1;
}

function ueAddressOf(flags: SessionFlags): UeAddress {
  const address: UeAddress = {};
  const ipv4 = flags.ueIp ?? (flags.ueIp6 === undefined ? 'auto' : 'none');
  if (ipv4 !== 'none') {
    if (ipv4 !== 'auto' && !isIPv4(ipv4)) {
      throw usageError(`--ue-ip: "${ipv4}" is no IPv4 address, "auto" or "none"`);
    }
    address.ipv4 = ipv4;
  }
  if (flags.ueIp6 !== undefined && flags.ueIp6 !== 'none') {
    const [prefix = '', length] = flags.ueIp6.split('/');
    if (flags.ueIp6 !== 'auto' && (!isIPv6(prefix) || (length ?? '64') !== '64')) {
      throw usageError(`--ue-ip6: "${flags.ueIp6}" is no /64 prefix, "auto" or "none"`);
    }
    address.ipv6_prefix = flags.ueIp6 === 'auto' ? 'auto' : `${prefix}/64`;
  }
  if (Object.keys(address).length === 0) throw usageError('the UE needs an address: --ue-ip auto');
  return address;
}

function pdnType(address: UeAddress): string {
  if (address.ipv6_prefix === undefined) return 'PDN_TYPE_IPV4';
  return address.ipv4 === undefined ? 'PDN_TYPE_IPV6' : 'PDN_TYPE_IPV4V6';
}

function gnbAddress(text: string): OuterHeaderCreation {
  if (isIPv4(text)) return { ipv4: text };
  if (isIPv6(text)) return { ipv6: text };
  throw usageError(`--gnb: "${text}" is no IP address`);
}

function retarget(far: Far, flags: RuleFlags): void {
  const header = far.forward?.outer_header_creation;
  if (header === undefined) return;
  if (flags.gnb !== undefined) {
    delete header.ipv4;
    delete header.ipv6;
    Object.assign(header, gnbAddress(flags.gnb));
  }
  if (flags.gnbTeid !== undefined) {
    header.teid = parseInteger(flags.gnbTeid, '--gnb-teid', 1, TEID_MAX);
  }
}

function touchesQer(flags: RuleFlags): boolean {
  const { qfi, mbrUl, mbrDl, gateUl, gateDl } = flags;
  return [qfi, mbrUl, mbrDl, gateUl, gateDl].some((flag) => flag !== undefined);
}

function touchesUrr(flags: RuleFlags): boolean {
  const { volumeThreshold, volumeQuota, period, timeThreshold, timeQuota, inactivity } = flags;
  const all = [volumeThreshold, volumeQuota, period, timeThreshold, timeQuota, inactivity];
  return all.some((flag) => flag !== undefined);
}

function attachQer(session: Session): void {
  session.qers = [{ id: 1 }];
  for (const pdr of session.pdrs ?? []) pdr.qer_ids = [1];
}

function attachUrr(session: Session): void {
  session.urrs = [{ id: 1, measure_volume: true }];
  for (const pdr of session.pdrs ?? []) pdr.urr_ids = [1];
}

function gateClosed(text: string, flag: string): boolean {
  if (text === 'open' || text === 'closed') return text === 'closed';
  throw usageError(`${flag}: "${text}" is neither open nor closed`);
}

function applyQerFlags(qer: Qer, flags: RuleFlags): void {
  if (flags.qfi !== undefined) qer.qfi = parseInteger(flags.qfi, '--qfi', 1, 63);
  if (flags.gateUl !== undefined) qer.uplink_gate_closed = gateClosed(flags.gateUl, '--gate-ul');
  if (flags.gateDl !== undefined) qer.downlink_gate_closed = gateClosed(flags.gateDl, '--gate-dl');
  if (flags.mbrUl === 'none') delete qer.uplink_mbr_kbps;
  else if (flags.mbrUl !== undefined) qer.uplink_mbr_kbps = parseRateKbps(flags.mbrUl, '--mbr-ul');
  if (flags.mbrDl === 'none') delete qer.downlink_mbr_kbps;
  else if (flags.mbrDl !== undefined)
    qer.downlink_mbr_kbps = parseRateKbps(flags.mbrDl, '--mbr-dl');
}

function applyUrrFlags(urr: Urr, flags: RuleFlags): void {
  urr.measure_volume = true;
  const before = quotasOf(urr);
  if (flags.volumeThreshold !== undefined) {
    urr.volume_threshold = { total_bytes: parseBytes(flags.volumeThreshold, '--volume-threshold') };
  }
  if (flags.volumeQuota !== undefined) {
    urr.volume_quota = { total_bytes: parseBytes(flags.volumeQuota, '--volume-quota') };
  }
  if (flags.period !== undefined) urr.period = duration(flags.period, '--period');
  if (flags.inactivity !== undefined) urr.inactivity = duration(flags.inactivity, '--inactivity');
  if (flags.timeThreshold !== undefined) {
    urr.measure_duration = true;
    urr.time_threshold = duration(flags.timeThreshold, '--time-threshold');
  }
  if (flags.timeQuota !== undefined) {
    urr.measure_duration = true;
    urr.time_quota = duration(flags.timeQuota, '--time-quota');
  }
  // A quota that is given is a new one, also when its size is that of the one before.
  const given = flags.volumeQuota !== undefined || flags.timeQuota !== undefined;
  if (given && quotasOf(urr) === before) urr.quota_grant = ((urr.quota_grant ?? 0) + 1) % GRANTS;
}

function quotasOf(urr: Urr): string {
  const {
    total_bytes: total,
    uplink_bytes: uplink,
    downlink_bytes: downlink,
  } = urr.volume_quota ?? {};
  return [total, uplink, downlink, milliseconds(urr.time_quota)].join();
}

function duration(text: string, flag: string): Duration {
  const ms = Math.round(parseSeconds(text, flag) * 1000);
  return { seconds: String(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
