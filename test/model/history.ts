/** What happened before a difference, so that a person can follow it. */
import { textOf } from '../wire/text.js';
import type { TestPacket } from './random-packet.js';

/** Steps that a mismatch shows of the session that it is about. */
const SHOWN = 12;
const KEPT = 4_096;

export class Mismatch extends Error {
  constructor(
    readonly seed: number,
    readonly step: number,
    what: string,
    history: string,
  ) {
    super(
      `seed ${seed}, step ${step}: ${what}\n${history}` +
        `again: npm run model -- --seed ${seed} --until ${step}`,
    );
    this.name = 'Mismatch';
  }
}

interface Event {
  readonly step: number;
  /** undefined: of all sessions. */
  readonly session: string | undefined;
  readonly text: () => string;
}

export class History {
  readonly #events: Event[] = [];

  constructor(private readonly seed: number) {}

  remember(step: number, session: string | undefined, text: () => string): void {
    this.#events.push({ step, session, text });
    if (this.#events.length > 2 * KEPT) this.#events.splice(0, KEPT);
  }

  /** @param about  the session, and its rules as text. */
  mismatch(step: number, what: string, about: string | undefined, rules: string): Mismatch {
    const events = this.#events
      .filter((event) => event.step <= step && (event.session ?? about) === about)
      .slice(-SHOWN)
      .map((event) => `    step ${event.step}: ${event.text()}\n`);
    const history = `  ${rules}\n  before it, of ${about ?? 'all'}:\n${events.join('')}`;
    return new Mismatch(this.seed, step, what, history);
  }
}

export function packetText({ packet, bytes }: TestPacket): string {
  return `port ${packet.port}: ${textOf(bytes, packet.tunnel !== undefined || packet.signal !== undefined)}`;
}
