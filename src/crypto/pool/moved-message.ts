/**
 * A message on its way to one task: short ones whole, longer ones part by part through a port,
 * because OpenSSL's state of a signature cannot move from thread to thread. Such a task keeps its
 * thread until the message ends, so it is for messages that come at their own speed only if they
 * have to be signed.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, type TransferListItem } from 'node:worker_threads';
import { SluiceError } from '../../base/errors.js';
import { chunksOf, type Source, type WorkOptions } from './source.js';

const PART_BYTES = 256 * 1024;
/** Up to here a message goes whole. */
const WHOLE_BYTES_MAX = 1024 * 1024;

export type MovedMessage = Uint8Array | MessagePort;

/** In the thread of the task: gives the message to `update` in its order. */
export async function takeMessage(
  message: MovedMessage,
  update: (part: Uint8Array) => void,
): Promise<void> {
  if (message instanceof Uint8Array) {
    update(message);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    message.on('message', (part: Uint8Array | 'end') => {
      if (part === 'end') {
        resolve();
        return;
      }
      try {
        update(part);
        message.postMessage('taken');
      } catch (error) {
        reject(error);
      }
    });
    message.once('close', () => reject(new SluiceError('aborted', 'the message was given up')));
  });
}

/**
 * In the thread of the caller: starts a task with a message, and sends the message after it, one
 * part ahead of what was taken.
 */
export async function withMessage<T>(
  source: Source,
  options: WorkOptions,
  start: (message: MovedMessage, moved: readonly TransferListItem[]) => Promise<T>,
): Promise<T> {
  options.signal?.throwIfAborted();
  if (source instanceof Uint8Array && source.length <= WHOLE_BYTES_MAX) return start(source, []);
  const { port1: ours, port2: theirs } = new MessageChannel();
  const task = start(theirs, [theirs]);
  // Waited for below; a failure that comes earlier must not count as unhandled.
  task.catch(() => {});
  try {
    let taken: Promise<unknown> = Promise.resolve();
    for await (const { bytes } of chunksOf(source, PART_BYTES, options)) {
      await Promise.race([taken, failureOf(task)]);
      taken = once(ours, 'message');
      taken.catch(() => {});
      ours.postMessage(bytes, [bytes.buffer]);
    }
    ours.postMessage('end');
    return await task;
  } finally {
    ours.close();
  }
}

/** Never settles but with the failure of a task that ended before its message. */
function failureOf(task: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    task.catch(reject);
  });
}
