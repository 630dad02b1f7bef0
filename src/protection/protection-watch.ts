/**
 * What is worth an event in the figures of protections: lifetimes that near their end, once each,
 * and refused packets at a rate. Owner: the control thread.
 */
import type { AssociationStatus } from '../datapath/protection-path.js';
import type { KeptProtection } from './stored-protections.js';

export const PROTECTION_EVENT_KINDS = [
  'rekeying_wanted',
  'expired',
  'not_genuine',
  'replayed',
  'unknown_spi',
] as const;
export type ProtectionEventKind = (typeof PROTECTION_EVENT_KINDS)[number];

export interface ProtectionEvent {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** 0: of no protection */
  readonly id: number;
  readonly spi: number;
  readonly kind: ProtectionEventKind;
  /** In the last second. */
  readonly packets: number;
}

interface Seen {
  notGenuine: bigint;
  replayed: bigint;
  readonly told: Set<ProtectionEventKind>;
}

export class ProtectionWatch {
  readonly #seen = new WeakMap<object, Seen>();
  readonly #listeners = new Set<(event: ProtectionEvent) => void>();
  #unknown: number | undefined;

  /** @param alarm  more packets than these between two looks are an event */
  constructor(
    private readonly alarm: number,
    private readonly now: () => number,
  ) {}

  listen(listener: (event: ProtectionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  tell(event: ProtectionEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Looks at one protection, whose associations are the same objects as long as they last. */
  look(kept: KeptProtection, rows: readonly AssociationStatus[]): ProtectionEvent[] {
    const events: ProtectionEvent[] = [];
    const timeMs = this.now();
    const { id } = kept.terms;
    for (const row of rows) {
      const list = row.outbound ? kept.outbound : kept.inbound;
      const association = list.find(({ spi }) => spi === row.spi);
      if (association === undefined) continue;
      const seen = this.#seenOf(association, row);
      const add = (kind: ProtectionEventKind, packets: bigint): void => {
        events.push({ timeMs, id, spi: row.spi, kind, packets: Number(packets) });
      };
      const alarm = BigInt(this.alarm);
      if (row.notGenuine - seen.notGenuine > alarm)
        add('not_genuine', row.notGenuine - seen.notGenuine);
      if (row.replayed - seen.replayed > alarm) add('replayed', row.replayed - seen.replayed);
      seen.notGenuine = row.notGenuine;
      seen.replayed = row.replayed;
      const once = (kind: ProtectionEventKind, holds: boolean): void => {
        if (!holds || seen.told.has(kind)) return;
        seen.told.add(kind);
        add(kind, 0n);
      };
      once('rekeying_wanted', row.wantsRekeying);
      once('expired', row.hasExpired);
    }
    return events;
  }

  lookAtUnknown(total: number): ProtectionEvent | undefined {
    const packets = total - (this.#unknown ?? total);
    this.#unknown = total;
    if (packets <= this.alarm) return undefined;
    return { timeMs: this.now(), id: 0, spi: 0, kind: 'unknown_spi', packets };
  }

  #seenOf(association: object, row: AssociationStatus): Seen {
    let seen = this.#seen.get(association);
    if (seen === undefined) {
      seen = { notGenuine: row.notGenuine, replayed: row.replayed, told: new Set() };
      this.#seen.set(association, seen);
    }
    return seen;
  }
}
