/**
 * Refused requests in the log, by the names of the document, so that whoever points an SMF at
 * this node sees why it does not work. The same again within a minute is counted only, and a
 * flood of different ones is cut off: nobody can fill a disk by it. Thread: the control thread.
 */
import type { Log } from '../base/log.js';
import { causes } from './codec/table/node-elements.js';
import { elementOf, messageOf } from './codec/table/table.js';

const AGAIN_MS = 60_000;
const KINDS_MAX = 256;
/** Lines in a window, whatever they say. */
const LINES_MAX = 20;
const WINDOW_MS = 10_000;

interface Kind {
  loggedMs: number;
  /** Since then. */
  more: number;
}

export class RefusalLog {
  readonly #kinds = new Map<string, Kind>();
  #windowMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  /** Not logged, as there were too many. */
  #cut = 0;

  constructor(
    private readonly log: Log,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * @param peer        Node ID or address.
   * @param offendingIe type of the element; 0: none.
   * @param reason      what the Cause does not say; ''.
   */
  note(peer: string, messageType: number, cause: number, offendingIe: number, reason = ''): void {
    const key = `${peer} ${messageType} ${cause} ${offendingIe} ${reason}`;
    const nowMs = this.now();
    const kind = this.#kinds.get(key);
    if (kind !== undefined && nowMs - kind.loggedMs < AGAIN_MS) {
      kind.more++;
      return;
    }
    if (!this.#hasRoom(nowMs)) return;
    const more = kind?.more ?? 0;
    if (this.#kinds.size >= KINDS_MAX) this.#kinds.clear();
    this.#kinds.set(key, { loggedMs: nowMs, more: 0 });
    const fields = {
      peer,
      message: messageOf(messageType)?.name ?? messageType,
      cause: `${cause} ${causes[cause] ?? ''}`.trimEnd(),
      ...(offendingIe !== 0 && { element: elementOf(offendingIe)?.name ?? offendingIe }),
      ...(reason !== '' && { reason }),
      ...(more > 0 && { more }),
      ...(this.#cut > 0 && { cut: this.#cut }),
    };
    this.#cut = 0;
    this.log.warn(fields, 'a request was refused');
  }

  #hasRoom(nowMs: number): boolean {
    if (nowMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_MAX) {
      this.#cut++;
      return false;
    }
    this.#lines++;
    return true;
  }
}
