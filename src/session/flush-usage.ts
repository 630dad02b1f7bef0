/**
 * Asks every session for the usage that it has not reported yet, so that watchers have it
 * before the process ends. Each session is given its present record once more, with a query
 * of all its URRs that have any: nothing changes in it. Only while no operation is under way.
 */
import {
  type Datapath,
  OPERATION_WORDS,
  OPERATIONS_MAX,
  OperationFlag,
  OperationKind,
  OperationWord,
  PrepareStatus,
} from '../datapath/datapath.js';
import { urrCount } from '../model/record.js';
import { SessionState, type SessionTable } from './state/session-table.js';

const QUERY_END = 0xffff_ffff;
const POLL_INTERVAL_MS = 1;

/** @param drain  takes waiting events out of the packet path. */
export async function flushUsage(
  datapath: Datapath,
  table: SessionTable,
  drain: () => void,
): Promise<void> {
  const tickets = new Uint32Array(OPERATIONS_MAX);
  for (let next = 0; next < table.capacity; ) {
    const slice = gather(datapath, table, next);
    next = slice.next;
    if (slice.count === 0) continue;
    datapath.prepare(slice.count);
    let prepared = 0;
    for (let i = 0; i < slice.count; i++) {
      const at = i * OPERATION_WORDS;
      // A session that can't be asked now keeps its usage, as after a crash.
      if (datapath.operations[at + OperationWord.Status] !== PrepareStatus.Ok) continue;
      tickets[prepared++] = datapath.operations[at + OperationWord.Ticket]!;
    }
    const sequence = datapath.apply(tickets, prepared);
    for (drain(); datapath.completed() < sequence; drain()) {
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
    drain();
  }
}

/** Writes a batch of queries, of sessions from index `from` on. */
function gather(datapath: Datapath, table: SessionTable, from: number) {
  const { operations, queries } = datapath;
  let count = 0;
  let query = 0;
  let index = from;
  for (; index < table.capacity && count < OPERATIONS_MAX; index++) {
    if (table.state[index] !== SessionState.Live) continue;
    const handle = table.handle[index]!;
    const urrs = urrCount(table.wordsOf(index), table.startOf(index));
    if (urrs === 0) continue;
    if (query + urrs * 2 >= queries.length) break;
    const at = count * OPERATION_WORDS;
    operations[at + OperationWord.Kind] = OperationKind.Update;
    operations[at + OperationWord.SessionIndex] = index;
    operations[at + OperationWord.Chunk] = table.slab.chunkOf(handle);
    operations[at + OperationWord.Offset] = table.slab.offsetOf(handle);
    operations[at + OperationWord.Flags] = OperationFlag.Query | OperationFlag.Used;
    for (let urr = 0; urr < urrs; urr++) {
      queries[query++] = count;
      queries[query++] = urr;
    }
    count++;
  }
  queries[query] = QUERY_END;
  return { count, next: index };
}
