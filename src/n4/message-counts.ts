/** Messages of one peer, by type and cause, in flat words. Thread: the control thread. */

const TYPES = 64;
/** Causes that exist are 1 to 3 and 64 to 86; the rest shares place 0. */
const CAUSES = 27;

function placeOf(cause: number): number {
  if (cause >= 1 && cause <= 3) return cause;
  return cause >= 64 && cause < 64 + CAUSES - 4 ? cause - 60 : 0;
}
function causeOf(place: number): number {
  return place <= 3 ? place : place + 60;
}

export class MessageCounts {
  readonly received = new Float64Array(TYPES);
  readonly sent = new Float64Array(TYPES);
  /** Sent once more: replies to duplicates, and requests of ours. */
  retransmitted = 0;
  /** Requests that came twice: answered from the cache, or silent because being served. */
  duplicates = 0;
  readonly #answers: (Float64Array | undefined)[] = new Array<Float64Array | undefined>(TYPES);

  answered(messageType: number, cause: number): void {
    let causes = this.#answers[messageType];
    if (causes === undefined) {
      causes = new Float64Array(CAUSES);
      this.#answers[messageType] = causes;
    }
    causes[placeOf(cause)]!++;
  }

  /** Visits response types and causes that occurred; cause 0: another. */
  forEachAnswer(visit: (messageType: number, cause: number, count: number) => void): void {
    for (const [messageType, causes] of this.#answers.entries()) {
      causes?.forEach((count, place) => {
        if (count > 0) visit(messageType, causeOf(place), count);
      });
    }
  }
}
