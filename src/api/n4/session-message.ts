/** A session's record as the N4Session message: what tells one from another. Pure. */
import { ipv4Before, ipv6Before } from '../../base/ip-text.js';
import { createTime, farCount, pdrCount, qerCount, refText, urrCount } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import { timestamp } from '../object-service.js';

const TEXT_MAX = 45;
const PREFIX_LENGTH = '/64';
const text = Buffer.alloc(TEXT_MAX);

export function n4SessionMessage(record: Uint32Array): object {
  const word = (at: number): number => record[at]!;
  const u64 = (low: number, high: number): string =>
    ((BigInt(word(high)) << 32n) | BigInt(word(low))).toString();
  return {
    name: refText(record, 0, word(layout.HEADER_NAME)),
    seid: u64(layout.HEADER_SEID_LOW, layout.HEADER_SEID_HIGH),
    cpSeid: u64(layout.HEADER_CP_SEID_LOW, layout.HEADER_CP_SEID_HIGH),
    ...ueAddresses(record),
    dnn: word(layout.HEADER_DNN) === 0 ? '' : refText(record, 0, word(layout.HEADER_DNN)),
    pdrs: pdrCount(record, 0),
    fars: farCount(record, 0),
    qers: qerCount(record, 0),
    urrs: urrCount(record, 0),
    revision: u64(layout.HEADER_REVISION_LOW, layout.HEADER_REVISION_HIGH),
    createTime: timestamp(createTime(record, 0)),
  };
}

function ueAddresses(record: Uint32Array): { ueIpv4?: string; ueIpv6Prefix?: string } {
  const flags = record[layout.HEADER_FLAGS]!;
  const v4 = (flags & layout.UE_IPV4) !== 0;
  const v6 = (flags & layout.UE_IPV6) !== 0;
  return {
    ...(v4 && { ueIpv4: ipv4Text(record[layout.HEADER_UE_IPV4]!) }),
    ...(v6 && { ueIpv6Prefix: prefixText(record) }),
  };
}

function ipv4Text(address: number): string {
  const start = ipv4Before(text, TEXT_MAX, address);
  return text.toString('latin1', start, TEXT_MAX);
}

function prefixText(record: Uint32Array): string {
  const high = record[layout.HEADER_UE_PREFIX_HIGH]!;
  const low = record[layout.HEADER_UE_PREFIX_LOW]!;
  const start = ipv6Before(text, TEXT_MAX, Uint32Array.of(high, low, 0, 0), 0);
  return text.toString('latin1', start, TEXT_MAX) + PREFIX_LENGTH;
}
