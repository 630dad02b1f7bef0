/** Who a session is to the outside, read from its record. Owner: the control thread. */
import { joinWords } from '../../base/units.js';
import { refText } from '../../model/record.js';
import { HEADER_NAME, HEADER_SEID_HIGH, HEADER_SEID_LOW } from '../../model/record-layout.js';
import type { SessionTable } from './session-table.js';

export interface Subject {
  readonly owner: string;
  readonly name: string;
  readonly seid: bigint;
}

/** The session at an index that is in use. */
export function subjectOf(table: SessionTable, index: number): Subject {
  const words = table.wordsOf(index);
  const start = table.startOf(index);
  return {
    owner: table.owners.name(table.owner[index]!),
    name: refText(words, start, words[start + HEADER_NAME]!),
    seid: joinWords(words[start + HEADER_SEID_LOW]!, words[start + HEADER_SEID_HIGH]!),
  };
}
