/**
 * A packet path that only moves when it is told to: no threads, memory ports, and a clock
 * that stands still between two packets. Packets cross by the batch, as words in two arrays,
 * and each turn of the loop says what left and what was dropped. For tests; the words are
 * those of native/worker/exchange.h. Owner: the control thread. Start at {@link PacketExchange}.
 */
import type { Datapath } from './datapath.js';

export interface SteppedDatapath extends Datapath {
  /** Plays `words` words of `input`; returns words of `output`. Throws on a bad entry. */
  exchange(input: Uint32Array, words: number, output: Uint32Array): number;
}

/** A packet that left; the bytes are valid until the next play(). */
export interface SentPacket {
  readonly port: number;
  readonly bytes: Uint8Array;
}
/** What one turn of the loop brought. Neither list has an entry: the packet is held. */
export interface Turn {
  readonly sent: readonly SentPacket[];
  /** Names of drop reasons, one for each packet dropped. */
  readonly dropped: readonly string[];
}

const ENTRY_WORDS = 4;
const MORE = 0x8000_0000;
const WORD = 2 ** 32;
const NOTHING: readonly never[] = [];

export class PacketExchange {
  readonly #input: Uint32Array;
  readonly #inputBytes: Uint8Array;
  readonly #output: Uint32Array;
  readonly #outputBytes: Uint8Array;
  readonly #reasons: readonly string[];
  #used = 0;

  /** @param words  size of the two arrays; a batch that fills the input is to be played. */
  constructor(
    private readonly datapath: SteppedDatapath,
    words = 2 ** 19,
  ) {
    this.#input = new Uint32Array(words);
    this.#inputBytes = new Uint8Array(this.#input.buffer);
    this.#output = new Uint32Array(4 * words);
    this.#outputBytes = new Uint8Array(this.#output.buffer);
    this.#reasons = Object.keys(datapath.statistics().dropped);
  }

  /**
   * A packet at a port at a time; `bytes` is copied. Empty bytes only move the time.
   * @param more  the next packet comes in the same turn of the loop, so that both go through
   *   the stages together; they have one {@link Turn} then.
   */
  add(port: number, timeNs: number, bytes: Uint8Array, more = false): void {
    const at = this.#used;
    this.#used += ENTRY_WORDS + ((bytes.length + 3) >>> 2);
    if (this.#used > this.#input.length) throw new Error('the batch is too large');
    this.#input[at] = more ? bytes.length + MORE : bytes.length;
    this.#input[at + 1] = port;
    this.#input[at + 2] = timeNs % WORD;
    this.#input[at + 3] = Math.floor(timeNs / WORD);
    this.#inputBytes.set(bytes, (at + ENTRY_WORDS) * 4);
  }

  /** Plays what was added; a turn for each entry that did not ask for more. */
  play(): readonly Turn[] {
    const words = this.#used;
    this.#used = 0;
    const end = this.datapath.exchange(this.#input, words, this.#output);
    const turns: Turn[] = [];
    for (let at = 0; at < end; ) {
      const packets = this.#output[at]!;
      const drops = this.#output[at + 1]!;
      at += 2;
      const dropped = drops === 0 ? NOTHING : this.#readDrops(at, drops);
      at += 2 * drops;
      const sent: SentPacket[] = [];
      for (let i = 0; i < packets; i++) {
        const length = this.#output[at + 1]!;
        const from = (at + 2) * 4;
        const bytes = this.#outputBytes.subarray(from, from + length);
        sent.push({ port: this.#output[at]!, bytes });
        at += 2 + ((length + 3) >>> 2);
      }
      turns.push({ sent, dropped });
    }
    return turns;
  }

  #readDrops(at: number, entries: number): string[] {
    const dropped: string[] = [];
    for (let i = 0; i < entries; i++) {
      const reason = this.#reasons[this.#output[at + 2 * i]! - 1]!;
      for (let n = this.#output[at + 2 * i + 1]!; n > 0; n--) dropped.push(reason);
    }
    return dropped;
  }
}
