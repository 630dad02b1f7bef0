/**
 * What protections need once a second: further blocks before they run out, what has come written
 * down, and what is worth an event. Owner: the control thread.
 */
import { setImmediate } from 'node:timers/promises';
import type {
  AssociationStatus,
  AssociationUse,
  ProtectionPath,
} from '../datapath/protection-path.js';
import type { ProtectionEvent, ProtectionWatch } from './protection-watch.js';
import { isHalfUsed, withBlock } from './reserve.js';
import type {
  KeptAssociation,
  KeptProtection,
  NewerUse,
  StoredProtections,
} from './stored-protections.js';

/** How long packets of a moment before a crash could come again: docs/SM4.md says so. */
const INBOUND_SAVE_ROUNDS = 5;
/** A slice takes one or two milliseconds, and others have their turn between two. */
const SLICE_ASSOCIATIONS = 256;

export interface RoundParts {
  /** All protections, by ID. */
  readonly kept: ReadonlyMap<number, KeptProtection>;
  readonly path: Pick<ProtectionPath, 'protectionStatus' | 'extendProtection'>;
  readonly stored: StoredProtections;
  readonly watch: ProtectionWatch;
  /** Packets without a known SPI that were dropped, ever. */
  readonly unknownSpis: () => number;
  readonly tell: (event: ProtectionEvent) => void;
  /** Behind the changes that are under way. */
  readonly enqueue: (work: () => Promise<void>) => Promise<void>;
}

export class ProtectionRounds {
  #rounds = 0;
  #hasEnded = false;

  constructor(private readonly parts: RoundParts) {}

  /** @throws what stood in the way of a slice, when the others are done; the next round does it again */
  async run(): Promise<void> {
    this.#rounds++;
    const failures: unknown[] = [];
    for (const ids of slicesOf(this.parts.kept.values())) {
      if (this.#hasEnded) return;
      await this.parts.enqueue(() => this.#do(ids)).catch((error) => failures.push(error));
      await setImmediate();
    }
    const unknown = this.parts.watch.lookAtUnknown(this.parts.unknownSpis());
    if (unknown !== undefined) this.parts.tell(unknown);
    if (failures.length > 0) throw failures[0];
  }

  /** No slice is done after this. */
  end(): void {
    this.#hasEnded = true;
  }

  async #do(ids: readonly number[]): Promise<void> {
    const all: [KeptProtection, NewerUse][] = [];
    for (const id of ids) {
      const kept = this.parts.kept.get(id);
      if (kept === undefined) continue;
      const newer = this.#look(kept);
      if (newer.size > 0) all.push([kept, newer]);
    }
    if (all.length === 0) return;
    for (const [kept, newer] of all) this.parts.stored.put(kept, newer);
    // What the store refuses is as it was, so that the next round asks for it again.
    await this.parts.stored.commit();
    for (const [kept, newer] of all) this.#take(kept, newer);
  }

  #look(kept: KeptProtection): NewerUse {
    // Each second a fifth of them, so that none has much to write.
    const savesInbound = (this.#rounds + kept.terms.id) % INBOUND_SAVE_ROUNDS === 0;
    const newer = new Map<KeptAssociation, AssociationUse>();
    const rows = this.parts.path.protectionStatus(kept.terms.id);
    for (const event of this.parts.watch.look(kept, rows)) this.parts.tell(event);
    for (const row of rows) {
      const association = associationOf(kept, row);
      if (association === undefined) continue;
      if (row.outbound) {
        if (!isHalfUsed(kept.terms, association.use, row)) continue;
        newer.set(association, withBlock(kept.terms, row));
      } else if (savesInbound && association.use.number !== row.number) {
        newer.set(association, useOf(row));
      }
    }
    return newer;
  }

  /** The store knows of it now. */
  #take(kept: KeptProtection, newer: NewerUse): void {
    for (const [association, use] of newer) {
      association.use = use;
      if (!kept.outbound.includes(association)) continue;
      this.parts.path.extendProtection(kept.terms.id, association.spi, use);
    }
  }
}

/** IDs of all, which may be gone when their turn comes. */
function slicesOf(all: Iterable<KeptProtection>): number[][] {
  const slices: number[][] = [];
  let room = 0;
  for (const { terms, outbound, inbound } of all) {
    if (room <= 0) {
      slices.push([]);
      room = SLICE_ASSOCIATIONS;
    }
    slices.at(-1)!.push(terms.id);
    room -= outbound.length + inbound.length;
  }
  return slices;
}

export function useOf({ number, bytes }: AssociationStatus): AssociationUse {
  return { number, bytes };
}

export function associationOf(
  kept: KeptProtection,
  { outbound, spi }: AssociationStatus,
): KeptAssociation | undefined {
  return (outbound ? kept.outbound : kept.inbound).find((one) => one.spi === spi);
}
