/**
 * Outer packets that arrive in pieces: by sender, receiver and identification a packet is whole
 * when every byte of it is there. What overlaps, or is more than is put together, ends all of it.
 */
import type { Effect, ModelPacket } from './packet.js';

export interface Fragment {
  /** Sender, receiver and identification. */
  readonly name: string;
  /** Bytes behind the IP header, the last one not included. */
  readonly from: number;
  readonly to: number;
  readonly more: boolean;
  /** What it is a piece of. */
  readonly whole: ModelPacket;
}
export interface ReassemblyWords {
  readonly datagrams: number;
  readonly fragments: number;
  readonly timeoutMs: number;
}

interface Waiting {
  readonly pieces: Fragment[];
  readonly untilNs: number;
}

export class Reassembly {
  readonly #waiting = new Map<string, Waiting>();

  constructor(private readonly limits: ReassemblyWords) {}

  /** Fragments that wait for others. */
  get count(): number {
    return [...this.#waiting.values()].reduce((sum, { pieces }) => sum + pieces.length, 0);
  }

  /** The whole packet when this was its last piece; and what ends with it. */
  add(piece: Fragment, nowNs: number): { readonly whole?: ModelPacket; readonly ended: Effect[] } {
    const known = this.#waiting.get(piece.name);
    if (known === undefined && this.#waiting.size === this.limits.datagrams) {
      return { ended: [{ dropped: 'reassembly_limit' }] };
    }
    const untilNs = nowNs + this.limits.timeoutMs * 1e6;
    const { pieces } = known ?? { pieces: [] };
    const full = pieces.length === this.limits.fragments;
    if (full || pieces.some((one) => one.from < piece.to && piece.from < one.to)) {
      this.#waiting.delete(piece.name);
      return { ended: [...pieces, piece].map(() => ({ dropped: 'reassembly_limit' })) };
    }
    const all = [...pieces, piece];
    const bytes = all.reduce((sum, { from, to }) => sum + to - from, 0);
    const end = all.find(({ more }) => !more)?.to;
    if (bytes !== end) {
      this.#waiting.set(piece.name, { pieces: all, untilNs: known?.untilNs ?? untilNs });
      return { ended: [] };
    }
    this.#waiting.delete(piece.name);
    return { whole: piece.whole, ended: pieces.map(() => ({ dropped: 'reassembled' })) };
  }

  /** Those whose others did not come in time. */
  expire(nowNs: number): Effect[] {
    const expired: Effect[] = [];
    for (const [name, { pieces, untilNs }] of this.#waiting) {
      if (untilNs > nowNs) continue;
      this.#waiting.delete(name);
      for (const _ of pieces) expired.push({ dropped: 'reassembly_timeout' });
    }
    return expired;
  }

  clear(): void {
    this.#waiting.clear();
  }
}
