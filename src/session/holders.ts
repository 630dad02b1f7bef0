/**
 * Who has the TEID or UE address that a refused record asks for: for policies in which the
 * newest session wins. Looked up for refusals alone. Owner: the control thread.
 */
import { joinWords } from '../base/units.js';
import { type Datapath, PrepareStatus } from '../datapath/datapath.js';
import { HEADER_SEID_HIGH, HEADER_SEID_LOW } from '../model/record-layout.js';
import type { SessionTable } from './state/session-table.js';

export class Holders {
  constructor(
    private readonly datapath: Pick<Datapath, 'holder'>,
    private readonly table: SessionTable,
  ) {}

  /** SEID of the session that has what the record of session `index` asks for too, or 0n. */
  find(index: number, handle: number, teids: boolean): bigint {
    const { slab } = this.table;
    const chunk = slab.chunkOf(handle);
    const other = this.datapath.holder(index, chunk, slab.offsetOf(handle), teids);
    const record = other < 0 ? 0 : this.table.handle[other]!;
    if (record === 0) return 0n;
    const words = slab.words(record);
    const start = slab.start(record);
    return joinWords(words[start + HEADER_SEID_LOW]!, words[start + HEADER_SEID_HIGH]!);
  }

  /** The same for a refusal by prepare(). */
  of(status: PrepareStatus, index: number, handle: number): bigint {
    if (status === PrepareStatus.TeidTaken) return this.find(index, handle, true);
    return status === PrepareStatus.UeAddressTaken ? this.find(index, handle, false) : 0n;
  }
}
