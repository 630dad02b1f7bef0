/**
 * What protections need once a second: further blocks before they run out, what has come written
 * down, and what is worth an event. Owner: the control thread.
 */
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
const INBOUND_SAVE_TICKS = 5;

export interface RoundParts {
  /** All protections, by ID. */
  readonly kept: ReadonlyMap<number, KeptProtection>;
  readonly path: Pick<ProtectionPath, 'protectionStatus' | 'extendProtection'>;
  readonly stored: StoredProtections;
  readonly watch: ProtectionWatch;
  /** Packets without a known SPI that were dropped, ever. */
  readonly unknownSpis: () => number;
  readonly tell: (event: ProtectionEvent) => void;
}

export class ProtectionRounds {
  #ticks = 0;

  constructor(private readonly parts: RoundParts) {}

  async run(): Promise<void> {
    this.#ticks++;
    const all: [KeptProtection, NewerUse][] = [];
    for (const kept of this.parts.kept.values()) {
      const newer = this.#look(kept);
      if (newer.size > 0) all.push([kept, newer]);
    }
    const unknown = this.parts.watch.lookAtUnknown(this.parts.unknownSpis());
    if (unknown !== undefined) this.parts.tell(unknown);
    for (const [kept, newer] of all) this.parts.stored.put(kept, newer);
    if (all.length === 0) return;
    // What the store refuses is as it was, so that the next round asks for it again.
    await this.parts.stored.commit();
    for (const [kept, newer] of all) this.#take(kept, newer);
  }

  #look(kept: KeptProtection): NewerUse {
    const savesInbound = this.#ticks % INBOUND_SAVE_TICKS === 0;
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

export function useOf({ number, bytes }: AssociationStatus): AssociationUse {
  return { number, bytes };
}

export function associationOf(
  kept: KeptProtection,
  { outbound, spi }: AssociationStatus,
): KeptAssociation | undefined {
  return (outbound ? kept.outbound : kept.inbound).find((one) => one.spi === spi);
}
