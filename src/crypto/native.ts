/**
 * The addon's cryptography (native/addon/crypto.cc), over buffers that stay where they are. It
 * checks nothing: only the other files of this folder, which have checked, call it. Any thread.
 */
import { loadAddon } from '../base/addon.js';
import { SluiceError } from '../base/errors.js';

/** Kinds of kernels, for each architecture from the least to the most that is asked of the processor. */
export type Tier = 'portable' | 'avx2' | 'avx2-gfni' | 'avx512' | 'armv8-aes' | 'armv8-sm4';

/** A known answer worked out by one tier. */
export interface KnownAnswer {
  readonly algorithm: string;
  readonly mode: string;
  readonly tier: Tier;
  readonly holds: boolean;
}

export interface NativeCrypto {
  /** Sets 32 bytes to SM3's initial state. */
  sm3Start(state: Uint8Array): void;
  /** Sets 64 bytes to the states behind the inner and the outer block of a key. */
  hmacSm3Start(state: Uint8Array, key: Uint8Array): void;
  /** Takes whole blocks of 64 bytes into a state. */
  sm3Absorb(state: Uint8Array, blocks: Uint8Array, tier?: Tier): void;
  /** Takes what comes behind `taken` bytes, writes the 32 bytes of the digest, wipes the state. */
  sm3Finish(
    state: Uint8Array,
    rest: Uint8Array,
    taken: number,
    digest: Uint8Array,
    tier?: Tier,
  ): void;
  /**
   * SM4-GCM with a key of 16 bytes and a whole tag of 16.
   * @param out  as many bytes as `input`, which it may be
   */
  sm4GcmSeal(
    key: Uint8Array,
    iv: Uint8Array,
    aad: Uint8Array,
    input: Uint8Array,
    out: Uint8Array,
    tag: Uint8Array,
    tier?: Tier,
  ): void;
  /** False: the tag does not hold, and `out` has nothing but zeros. */
  sm4GcmOpen(
    key: Uint8Array,
    iv: Uint8Array,
    aad: Uint8Array,
    input: Uint8Array,
    out: Uint8Array,
    tag: Uint8Array,
    tier?: Tier,
  ): boolean;
  activeTier(): Tier;
  /** Those that this processor runs, the best one last. */
  tiers(): Tier[];
  knownAnswers(): KnownAnswer[];
  /** What can be timed; an operation does so many messages at once. */
  speedModes(): { readonly name: string; readonly messages: number }[];
  /** Nanoseconds that operations in a row take, without JavaScript between them. */
  timeOperations(mode: string, tier: Tier, bytes: number, operations: number): number;
  /** Overwrites bytes that nothing reads any more. */
  wipe(bytes: Uint8Array): void;
}

let checked: NativeCrypto | undefined;

/**
 * @throws SluiceError failed_precondition as {@link loadAddon} does, and when SLUICE_CRYPTO_TIER
 *   names a tier that is not to be had, with which the addon would end the process
 */
export function nativeCrypto(): NativeCrypto {
  if (checked !== undefined) return checked;
  const { crypto } = loadAddon() as { readonly crypto: NativeCrypto };
  const forced = process.env.SLUICE_CRYPTO_TIER ?? '';
  const tiers: readonly string[] = crypto.tiers();
  if (forced !== '' && !tiers.includes(forced)) {
    const there = tiers.join(', ');
    throw new SluiceError(
      'failed_precondition',
      `SLUICE_CRYPTO_TIER is ${forced}, which is no tier that this processor runs: ${there}`,
    );
  }
  checked = crypto;
  return crypto;
}
