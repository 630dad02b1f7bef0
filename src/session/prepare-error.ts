/** Why the packet path refused a session, in the words of the API. */
import { SluiceError } from '../base/errors.js';
import { PrepareStatus } from '../datapath/datapath.js';
import { HEADER_WORDS, PDR_LISTS, PDR_UE_IPV4, PDR_WORDS } from '../model/record-layout.js';
import type { RecordAt } from './allocators/ue-addresses.js';

/** Details of PrepareStatus.Instance from here on are FAR indices, of Protection PDR indices. */
const FAR_DETAIL = 256;

const NO_PORT = 'no port carries this network instance';

/** @param holder  SEID of the session that has what was asked for, 0n: none or not known. */
export function prepareError(
  record: RecordAt,
  status: PrepareStatus,
  detail: number,
  holder = 0n,
): SluiceError {
  const pdi = `session.pdrs[${detail}].pdi`;
  switch (status) {
    case PrepareStatus.TeidTaken:
      return new SluiceError('already_exists', 'another session has this TEID at this address', {
        field: `${pdi}.local_f_teid.teid`,
        holder,
      });
    case PrepareStatus.UeAddressTaken:
      return addressTaken(record, detail & 0xff, detail >>> 8, holder);
    case PrepareStatus.Resources:
      return new SluiceError('resource_exhausted', 'the packet path has no memory left for it');
    case PrepareStatus.Instance:
      return detail < FAR_DETAIL
        ? new SluiceError('failed_precondition', NO_PORT, { field: `${pdi}.network_instance` })
        : new SluiceError(
            'failed_precondition',
            `${NO_PORT}, or none with an address of the tunnel's family`,
            {
              field: `session.fars[${detail - FAR_DETAIL}].forward.network_instance`,
            },
          );
    case PrepareStatus.LocalAddress:
      return new SluiceError('failed_precondition', 'no access port has this local address', {
        field: `${pdi}.local_f_teid`,
      });
    case PrepareStatus.Protection:
      return new SluiceError('failed_precondition', 'there is no protection of this number', {
        field:
          detail < FAR_DETAIL
            ? `session.fars[${detail}].forward.protection_id`
            : `session.pdrs[${detail - FAR_DETAIL}].pdi.protection_id`,
      });
    case PrepareStatus.ProtectionPort:
      return new SluiceError(
        'failed_precondition',
        "no port of the network instance has the protection's local address",
        { field: `session.fars[${detail}].forward.protection_id` },
      );
    default:
      return new SluiceError(
        'internal',
        `the packet path can't read the record: status ${status}, detail ${detail}`,
      );
  }
}

/** `route` is the position of the framed route from 1; 0: the UE address. */
function addressTaken(record: RecordAt, pdr: number, route: number, holder: bigint): SluiceError {
  const pdi = `session.pdrs[${pdr}].pdi`;
  if (route !== 0) {
    return new SluiceError('already_exists', 'another session has this address or framed route', {
      field: `${pdi}.framed_routes[${route - 1}]`,
      holder,
    });
  }
  const lists = record.words[record.start + HEADER_WORDS + pdr * PDR_WORDS + PDR_LISTS] ?? 0;
  const family = ((lists >>> 16) & PDR_UE_IPV4) !== 0 ? 'ipv4' : 'ipv6_prefix';
  return new SluiceError('already_exists', 'another session has this UE address', {
    field: `${pdi}.ue_address.${family}`,
    holder,
  });
}
