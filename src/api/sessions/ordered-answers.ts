import type { ServerDuplexStream } from '@grpc/grpc-js';

/** Messages of one stream that may wait for their answer or for the client to read it. */
const OUTSTANDING_MAX = 32;

export interface AnswerSlot {
  answer: Buffer | undefined;
}

/**
 * The answers of one stream, written in the order of its messages however the work behind
 * them ends. Reading pauses while too many are outstanding or the client doesn't read.
 */
export class OrderedAnswers {
  readonly #waiting: AnswerSlot[] = [];
  #blocked = false;
  #paused = false;
  #ending: (() => void) | undefined;
  #closed = false;

  constructor(private readonly call: ServerDuplexStream<Buffer, Buffer>) {
    call.on('drain', () => {
      this.#blocked = false;
      this.#flush();
    });
  }

  /** No more is written: the client is gone, or the stream was ended. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes the place of the next answer. */
  open(): AnswerSlot {
    const slot: AnswerSlot = { answer: undefined };
    this.#waiting.push(slot);
    this.#balance();
    return slot;
  }

  settle(slot: AnswerSlot, answer: Buffer): void {
    slot.answer = answer;
    this.#flush();
  }

  /** Runs `end` once, behind the last answer; what is read until then is not looked at. */
  endWith(end: () => void): void {
    if (this.#ending !== undefined) return;
    this.#ending = end;
    this.#flush();
  }

  get ending(): boolean {
    return this.#ending !== undefined;
  }

  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
  }

  #flush(): void {
    while (!this.#closed && !this.#blocked) {
      const answer = this.#waiting[0]?.answer;
      if (answer === undefined) break;
      this.#waiting.shift();
      this.#blocked = !this.call.write(answer);
    }
    if (!this.#closed && this.#waiting.length === 0 && this.#ending !== undefined) {
      this.#closed = true;
      this.#ending();
      return;
    }
    this.#balance();
  }

  #balance(): void {
    if (this.#closed) return;
    const pause = this.#waiting.length >= OUTSTANDING_MAX || this.#blocked;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.call.pause();
    else this.call.resume();
  }
}
