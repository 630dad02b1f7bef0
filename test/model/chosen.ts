/** What the UPF chose for a session, out of the record of its answer. */
import { joinWords } from '../../src/base/units.js';
import { pdrCount, pdrsAt } from '../../src/model/record.js';
import * as layout from '../../src/model/record-layout.js';
import { parseAddress } from '../wire/address.js';
import type { Chosen } from './session.js';

export function chosenIn(record: Uint32Array): Chosen {
  const teids = Array.from(
    { length: pdrCount(record, 0) },
    (_, i) => record[pdrsAt(0) + i * layout.PDR_WORDS + layout.PDR_TEID]!,
  );
  const ipv4 = record[layout.HEADER_UE_IPV4]!;
  const prefix = joinWords(
    record[layout.HEADER_UE_PREFIX_LOW]!,
    record[layout.HEADER_UE_PREFIX_HIGH]!,
  );
  const prefixBytes = new Uint8Array(8);
  new DataView(prefixBytes.buffer).setBigUint64(0, prefix);
  const ipv4Text = [24, 16, 8, 0].map((shift) => (ipv4 >>> shift) & 0xff).join('.');
  return {
    teids,
    ueIpv4: ipv4 === 0 ? undefined : parseAddress(ipv4Text),
    uePrefix: prefix === 0n ? undefined : prefixBytes,
  };
}
