import { SluiceError } from '../../base/errors.js';
import { absorbSm3, type Sm3Progress } from '../sm3-state.js';

/** What a thread of the pool can do, by name: the task and what comes of it. */
interface Work {
  absorbSm3: {
    task: { readonly progress: Sm3Progress; readonly blocks: Uint8Array };
    outcome: Sm3Progress;
  };
}

export type Task = {
  [Kind in keyof Work]: { readonly kind: Kind } & Work[Kind]['task'];
}[keyof Work];
export type Outcome<T extends Task> = Work[T['kind']]['outcome'];

function outcomeOf(task: Task): Outcome<Task> {
  return absorbSm3(task.progress, task.blocks);
}

/** The entry of a thread: classes don't survive the way between threads, so refusals go as data. */
export default function work(task: Task): unknown {
  try {
    return { value: outcomeOf(task) };
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    const { code, message, field } = error;
    return { refused: { code, message, field } };
  }
}
