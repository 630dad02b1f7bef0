/** What must hold for a reader after any message, accepted or refused. */
import type { MessageReader } from './message-reader.js';

/** Empty: every element lies in the message, and in the group that has it. */
export function readerFaults(reader: MessageReader): string[] {
  const faults: string[] = [];
  const complete = reader.cause === 0;
  const walk = (from: number, to: number, start: number, end: number): void => {
    for (let index = from; index < to; ) {
      const behind = reader.ieEnd[index]!;
      const at = reader.valueAt[index]!;
      const valueEnd = at + reader.valueLength[index]!;
      if (at - 4 < start || valueEnd > end) faults.push(`element ${index} lies outside`);
      if (complete && (behind <= index || behind > to)) {
        faults.push(`element ${index} ends at ${behind} of ${to}`);
        return;
      }
      if (!complete) {
        index++;
        continue;
      }
      walk(index + 1, behind, at, valueEnd);
      index = behind;
    }
  };
  walk(0, reader.count, reader.bodyAt, reader.bodyEnd);
  return faults;
}
