/** Protections of a packet path without packets: it keeps what it is told. Owner: the control thread. */
import type { LanePath } from '../lanes/lane-path.js';
import type {
  AssociationStatus,
  AssociationUse,
  ProtectionPath,
  ProtectionSettings,
} from '../protection-path.js';

export class MemoryProtections implements ProtectionPath, LanePath {
  readonly protections = new Map<number, ProtectionSettings>();
  /** Rules that refer to a protection, as a test says. */
  readonly uses = new Map<number, number>();
  /** What a test says of an association, by SPI and direction. */
  readonly figures = new Map<string, Partial<AssociationStatus>>();
  /** What the next setProtection() is refused for; a test says so. */
  refuseNext: { readonly message: string; readonly field: string } | null = null;
  /** Keys of associations, copied as the packet path does. */
  readonly keys = new Map<number, Uint8Array>();

  setProtection(settings: ProtectionSettings): void {
    if (this.refuseNext !== null) {
      const { message, field } = this.refuseNext;
      this.refuseNext = null;
      throw Object.assign(new Error(message), { field });
    }
    for (const association of [...settings.outbound, ...settings.inbound]) {
      if (association.key.length > 0) this.keys.set(association.spi, association.key.slice());
    }
    this.protections.set(settings.number, settings);
  }
  removeProtection(number: number): boolean {
    return this.protectionUses(number) === 0 && this.protections.delete(number);
  }
  extendProtection(number: number, spi: number, allowed: AssociationUse): void {
    const settings = this.protections.get(number);
    if (settings === undefined) return;
    const outbound = settings.outbound.map((association) =>
      association.spi === spi ? { ...association, allowed } : association,
    );
    this.protections.set(number, { ...settings, outbound });
  }
  protectionsSettled(): boolean {
    return true;
  }
  protectionStatus(number: number): readonly AssociationStatus[] {
    const { outbound = [], inbound = [] } = this.protections.get(number) ?? {};
    return [...outbound, ...inbound].map(({ spi, used }, position) => ({
      spi,
      outbound: position < outbound.length,
      number: used.number,
      packets: 0n,
      bytes: used.bytes,
      replayed: 0n,
      notGenuine: 0n,
      malformed: 0n,
      wantsRekeying: false,
      hasExpired: false,
      ...this.figures.get(`${spi} ${position < outbound.length ? 'out' : 'in'}`),
    }));
  }
  protectionUses(number: number): number {
    return this.uses.get(number) ?? 0;
  }
  /** There are no packets to seal, and so no lanes. */
  lanes(): number {
    return 0;
  }
  limitLaneThreads(): void {}
  buryLaneThread(): void {}
}
