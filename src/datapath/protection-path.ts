/**
 * The packet path's part for protections: what native/worker/protect/protections.h has, over
 * objects, since they change seldom. Owner: the control thread; keys are copied by the call, and
 * whoever passes them on wipes them.
 */

export const enum EspSuite {
  Sm4Gcm16 = 0,
  Sm4CbcSm3_96 = 1,
  Sm4CbcSm3_128 = 2,
  Sm4CbcSm3_256 = 3,
}

/** How much of an association is used. */
export interface AssociationUse {
  /** The last sequence number, which is how many packets it has sealed at most. */
  readonly number: bigint;
  readonly bytes: bigint;
}

export interface AssociationSettings {
  readonly spi: number;
  /** 16 bytes; of an association that is there already it is not looked at. */
  readonly key: Uint8Array;
  /** 4 bytes */
  readonly salt: Uint8Array;
  /** 32 bytes */
  readonly authKey: Uint8Array;
  /** Outbound: what may have been used. Inbound: the newest number that had come. */
  readonly used: AssociationUse;
  /** Outbound: nothing beyond it is used. */
  readonly allowed: AssociationUse;
}

export interface ProtectionSettings {
  /** 1 to PROTECTION_MAX */
  readonly number: number;
  readonly local: string;
  readonly peer: string;
  /** Bit n: port n has the local address, or may have. FARs leave by these alone. */
  readonly ports: number;
  readonly inUdp: boolean;
  readonly suite: EspSuite;
  readonly extendedSequence: boolean;
  /** packets, a power of two from 64 to 4096 */
  readonly window: number;
  /** 0n: no limit */
  readonly packetsSoft: bigint;
  readonly packetsHard: bigint;
  readonly bytesSoft: bigint;
  readonly bytesHard: bigint;
  readonly outbound: readonly AssociationSettings[];
  readonly inbound: readonly AssociationSettings[];
}

export interface AssociationStatus extends AssociationUse {
  readonly spi: number;
  readonly outbound: boolean;
  readonly packets: bigint;
  readonly replayed: bigint;
  readonly notGenuine: bigint;
  readonly malformed: bigint;
  readonly wantsRekeying: boolean;
  /** Outbound: it has come to the end of its life, and seals no more. */
  readonly hasExpired: boolean;
}

export interface ProtectionPath {
  /**
   * A new protection, or other associations for one that is there; SPIs that stay go on as they
   * are. Also before start(). Throws with the `field` that is at fault; nothing has changed then.
   */
  setProtection(settings: ProtectionSettings): void;
  /** False: rules refer to it, or there is none. */
  removeProtection(number: number): boolean;
  /** Further sequence numbers and bytes for an outbound association. */
  extendProtection(number: number, spi: number, allowed: AssociationUse): void;
  /** Whether all workers have what was set and removed. Also moves it on. */
  protectionsSettled(): boolean;
  /** Outbound ones first; none: there is no such protection. */
  protectionStatus(number: number): readonly AssociationStatus[];
  /** FARs and PDRs that refer to it. */
  protectionUses(number: number): number;
}
