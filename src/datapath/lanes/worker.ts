/** A lane's thread: one task for as long as it is wanted. Packets never come to JavaScript. */
import { loadAddon } from '../../base/addon.js';

export interface LaneTask {
  readonly lanes: number;
  readonly thread: number;
}

interface Addon {
  /** About 100 ms of work between two bursts. False: the thread is not wanted any more. */
  serveLanes(lanes: number, thread: number): boolean;
}

export default function serve({ lanes, thread }: LaneTask): void {
  const addon = loadAddon() as Addon;
  // Between two calls the thread can be ended, by the pool or with the process. V8 looks for that
  // where a function begins, but in a loop only after thousands of rounds: hence a function.
  const turn = (): boolean => addon.serveLanes(lanes, thread);
  while (turn());
}
