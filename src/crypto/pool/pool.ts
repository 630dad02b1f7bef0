/**
 * The threads that the bulk of cryptography runs on: one piscina pool a process, made at the first
 * use and empty again when idle, so that a command which used it can end. Tasks are short, a chunk
 * or one operation with a key, so that many users share the threads fairly; what carries over from
 * chunk to chunk goes along as bytes. Start with runTask(); what a thread does is in worker.ts.
 */
import { availableParallelism } from 'node:os';
import type { TransferListItem } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { SluiceError } from '../../base/errors.js';
import type { Kind, Outcome, TaskOf } from './worker.js';

/** One core is left to the control thread. */
const THREADS_MAX = Math.max(1, availableParallelism() - 1);
/** Tasks that wait. A user has a handful under way at once; beyond this something is wrong. */
const QUEUE_MAX = 1024;
const IDLE_MS = 1000;

let pool: Piscina | undefined;

function threads(): Piscina {
  if (pool !== undefined) return pool;
  const source = import.meta.url.endsWith('.ts');
  const extension = source ? '.ts' : '.js';
  pool = new Piscina({
    filename: new URL(`./worker${extension}`, import.meta.url).href,
    // Tests run the sources as they are.
    ...(source && { execArgv: ['--import', 'tsx'] }),
    minThreads: 0,
    maxThreads: THREADS_MAX,
    maxQueue: QUEUE_MAX,
    idleTimeout: IDLE_MS,
  });
  return pool;
}

/**
 * Does a task on a thread of the pool.
 * @param moved  memory that goes to the thread and is no longer there for the caller
 * @throws SluiceError as the task threw it; resource_exhausted when too many wait
 */
export async function runTask<K extends Kind>(
  task: TaskOf<K>,
  moved: readonly TransferListItem[] = [],
): Promise<Outcome<K>> {
  const workers = threads();
  if (workers.queueSize >= QUEUE_MAX) {
    throw new SluiceError('resource_exhausted', `${QUEUE_MAX} tasks of cryptography wait already`);
  }
  const answer = (await workers.run(task, { transferList: moved as never })) as
    | { readonly value: Outcome<K> }
    | { readonly refused: Pick<SluiceError, 'code' | 'message' | 'field'> };
  if ('value' in answer) return answer.value;
  const { code, message, field } = answer.refused;
  throw new SluiceError(code, message, { field });
}

/** Ends the threads when their tasks are done. The next task makes new ones. */
export async function closePool(): Promise<void> {
  const closing = pool;
  pool = undefined;
  await closing?.close();
}
