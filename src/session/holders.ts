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

  /**
   * SEID of the session that has what the record of session `index` asks for too, or 0n; those
   * that it displaces don't count.
   */
  find(index: number, handle: number, teids: boolean, displaced: readonly number[]): bigint {
    const { slab } = this.table;
    const chunk = slab.chunkOf(handle);
    const butFor = Uint32Array.from(displaced);
    const other = this.datapath.holder(index, chunk, slab.offsetOf(handle), teids, butFor);
    const record = other < 0 ? 0 : this.table.handle[other]!;
    if (record === 0) return 0n;
    const words = slab.words(record);
    const start = slab.start(record);
    return joinWords(words[start + HEADER_SEID_LOW]!, words[start + HEADER_SEID_HIGH]!);
  }

  /** The same for a refusal by prepare(). */
  of(status: PrepareStatus, index: number, handle: number, displaced: readonly number[]): bigint {
    const teids = status === PrepareStatus.TeidTaken;
    const taken = teids || status === PrepareStatus.UeAddressTaken;
    return taken ? this.find(index, handle, teids, displaced) : 0n;
  }
}
