/**
 * What sampled packets say of sessions: how much each has moved since the window was cleared.
 * A sample stands for as many packets as it says, so sums are estimates; of packets that come
 * alone all are seen. Typed arrays of one fixed size: when more sessions than that have sent,
 * the less busy half of them is forgotten.
 *
 * Owner: the control thread. Start with traffic-sampling.ts, which fills windows.
 */
import { SampleFlag, SampleWord } from '../../datapath/datapath.js';

/** Sessions that one window tells apart. */
const SESSIONS_MAX = 16_384;
const SLOTS = SESSIONS_MAX * 2;
/** What of SampleWord.Session is the index. */
export const INDEX_MASK = 0xff_ffff;
/** Knuth's multiplier: neighbours in the table of sessions are spread. */
const SPREAD = 0x9e37_79b1;

const enum Sum {
  UplinkBytes = 0,
  DownlinkBytes = 1,
  UplinkPackets = 2,
  DownlinkPackets = 3,
  DroppedPackets = 4,
  /** all bytes that came, dropped ones too: what "busy" means */
  OfferedBytes = 5,
}
const SUMS = 6;

/** Sums of one session since the window was cleared. */
export interface SessionSums {
  readonly index: number;
  readonly incarnation: number;
  /** inner octets and packets that were sent on or are held */
  readonly uplinkBytes: number;
  readonly downlinkBytes: number;
  readonly uplinkPackets: number;
  readonly downlinkPackets: number;
  readonly droppedPackets: number;
}

export class TrafficWindow {
  /** index + 1; 0: free */
  readonly #keys = new Uint32Array(SLOTS);
  readonly #incarnations = new Uint32Array(SLOTS);
  readonly #sums = new Float64Array(SLOTS * SUMS);
  #used = 0;

  get sessions(): number {
    return this.#used;
  }

  /** Takes in one sample: SAMPLE_WORDS words from `at` on. */
  add(words: Uint32Array, at: number): void {
    const session = words[at + SampleWord.Session]!;
    const slot = this.#slotOf(session & INDEX_MASK, words[at + SampleWord.Incarnation]!);
    const packets = words[at + SampleWord.Packets]!;
    const bytes = packets * words[at + SampleWord.Bytes]!;
    const sums = this.#sums;
    const to = slot * SUMS;
    sums[to + Sum.OfferedBytes]! += bytes;
    if ((session & SampleFlag.Dropped) !== 0) {
      sums[to + Sum.DroppedPackets]! += packets;
      return;
    }
    const downlink = (session & SampleFlag.Downlink) === 0 ? 0 : 1;
    sums[to + Sum.UplinkBytes + downlink]! += bytes;
    sums[to + Sum.UplinkPackets + downlink]! += packets;
  }

  /** The sessions with the most bytes, the busiest first. */
  busiest(count: number): SessionSums[] {
    return this.#ranked()
      .slice(0, count)
      .map((slot) => this.#read(slot));
  }

  clear(): void {
    this.#keys.fill(0);
    this.#sums.fill(0);
    this.#used = 0;
  }

  #slotOf(index: number, incarnation: number): number {
    let slot = this.#find(index);
    if (this.#keys[slot] === 0) {
      if (this.#used === SESSIONS_MAX) {
        this.#forgetHalf();
        slot = this.#find(index);
      }
      this.#keys[slot] = index + 1;
      this.#incarnations[slot] = incarnation;
      this.#used++;
    } else if (this.#incarnations[slot] !== incarnation) {
      // Another session has the slot now; what the earlier one did is over.
      this.#incarnations[slot] = incarnation;
      this.#sums.fill(0, slot * SUMS, (slot + 1) * SUMS);
    }
    return slot;
  }

  /** The slot that has the session, or the free one where it belongs. */
  #find(index: number): number {
    let slot = (Math.imul(index, SPREAD) >>> 0) % SLOTS;
    while (this.#keys[slot] !== 0 && this.#keys[slot] !== index + 1) slot = (slot + 1) % SLOTS;
    return slot;
  }

  #ranked(): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < SLOTS; slot++) if (this.#keys[slot] !== 0) slots.push(slot);
    const offered = (slot: number): number => this.#sums[slot * SUMS + Sum.OfferedBytes]!;
    return slots.sort((a, b) => offered(b) - offered(a) || this.#keys[a]! - this.#keys[b]!);
  }

  #forgetHalf(): void {
    const kept = this.#ranked()
      .slice(0, SESSIONS_MAX / 2)
      .map((slot) => ({
        key: this.#keys[slot]!,
        incarnation: this.#incarnations[slot]!,
        sums: this.#sums.slice(slot * SUMS, (slot + 1) * SUMS),
      }));
    this.clear();
    for (const { key, incarnation, sums } of kept) {
      this.#sums.set(sums, this.#slotOf(key - 1, incarnation) * SUMS);
    }
  }

  #read(slot: number): SessionSums {
    const sum = (which: Sum): number => this.#sums[slot * SUMS + which]!;
    return {
      index: this.#keys[slot]! - 1,
      incarnation: this.#incarnations[slot]!,
      uplinkBytes: sum(Sum.UplinkBytes),
      downlinkBytes: sum(Sum.DownlinkBytes),
      uplinkPackets: sum(Sum.UplinkPackets),
      downlinkPackets: sum(Sum.DownlinkPackets),
      droppedPackets: sum(Sum.DroppedPackets),
    };
  }
}
