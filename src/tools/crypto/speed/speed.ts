/**
 * `sluice crypto speed`: our kernels in every tier, and what others have to set against them, in
 * the same run. One thread, which is the caller's; figures are those of one core.
 */
import { loadAddon } from '../../../base/addon.js';
import { nativeCrypto, type Tier } from '../../../crypto/native.js';
import { decryptNow, encryptNow } from '../../../crypto/sm2/encryption.js';
import { pointOf, scalarOf } from '../../../crypto/sm2/key-bytes.js';
import { generateSm2Keys } from '../../../crypto/sm2/keys.js';
import { signNow, verifyNow } from '../../../crypto/sm2/signature.js';
import { usageError } from '../../tool-error.js';
import { type Candidate, calling, measure } from './measure.js';
import { opponentsOf, SM_CRYPTO, smCrypto } from './opponents.js';

export interface SpeedRequest {
  /** undefined: all. */
  readonly modes: readonly string[] | undefined;
  readonly sizes: readonly number[];
  /** undefined: all that this processor runs. */
  readonly tiers: readonly string[] | undefined;
  /** That a figure takes, about. */
  readonly timeMs: number;
}

/** Figures of one mode and size; SM2 has no size: 0. */
export interface SpeedRow {
  readonly mode: string;
  readonly bytes: number;
  /** Nanoseconds a message, by who takes them. */
  readonly nanoseconds: ReadonlyMap<string, number>;
}

const SM2_MODES = ['sm2-sign', 'sm2-verify', 'sm2-encrypt', 'sm2-decrypt'];
export const SLUICE = 'sluice';

/** Ticks a second of the time stamp counter. */
export const tscHz = (): number => (loadAddon() as { readonly tscHz: number }).tscHz;

/** All modes in their order. */
export function speedModeNames(): string[] {
  return [
    ...nativeCrypto()
      .speedModes()
      .map(({ name }) => name),
    ...SM2_MODES,
  ];
}

/** Rows as they are ready. @throws ToolError: an unknown mode or tier, before anything is measured */
export function* speedRows(request: SpeedRequest): Generator<SpeedRow> {
  const native = nativeCrypto();
  const modes = chosen('--mode', request.modes, speedModeNames());
  const tiers = chosen('--tier', request.tiers, native.tiers()) as Tier[];
  for (const { name, messages } of native.speedModes()) {
    if (!modes.includes(name)) continue;
    for (const bytes of request.sizes) {
      const ours = tiers.map((tier) => ({
        by: tier,
        messages,
        time: (operations: number) => native.timeOperations(name, tier, bytes, operations),
      }));
      const all = [...ours, ...opponentsOf(name, bytes)];
      yield { mode: name, bytes, nanoseconds: measure(all, request.timeMs) };
    }
  }
  const sm2 = SM2_MODES.filter((name) => modes.includes(name));
  if (sm2.length === 0) return;
  const candidates = sm2Candidates();
  for (const name of sm2) {
    yield { mode: name, bytes: 0, nanoseconds: measure(candidates[name]!, request.timeMs) };
  }
}

function chosen(
  flag: string,
  wanted: readonly string[] | undefined,
  known: readonly string[],
): readonly string[] {
  const unknown = wanted?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw usageError(`${flag}: "${unknown}" is none of ${known.join(', ')}`);
  }
  return wanted ?? known;
}

/** Keys and a message of 32 bytes, the same for both. */
function sm2Candidates(): Readonly<Record<string, Candidate[]>> {
  const { sm2 } = smCrypto();
  const { privateKey, publicKey } = generateSm2Keys();
  const [scalar, point] = [
    scalarOf(privateKey).toString('hex'),
    pointOf(publicKey).toString('hex'),
  ];
  const message = Buffer.alloc(32, 7);
  const signature = signNow(privateKey, message);
  const theirSignature = sm2.doSignature(message, scalar, { hash: true, publicKey: point });
  const ciphertext = encryptNow(publicKey, message);
  const theirCiphertext = sm2.doEncrypt(message, point);
  return {
    'sm2-sign': [
      calling(SLUICE, () => signNow(privateKey, message)),
      calling(SM_CRYPTO, () => sm2.doSignature(message, scalar, { hash: true, publicKey: point })),
    ],
    'sm2-verify': [
      calling(SLUICE, () => verifyNow(publicKey, message, signature)),
      calling(SM_CRYPTO, () =>
        sm2.doVerifySignature(message, theirSignature, point, { hash: true }),
      ),
    ],
    'sm2-encrypt': [
      calling(SLUICE, () => encryptNow(publicKey, message)),
      calling(SM_CRYPTO, () => sm2.doEncrypt(message, point)),
    ],
    'sm2-decrypt': [
      calling(SLUICE, () => decryptNow(privateKey, ciphertext)),
      calling(SM_CRYPTO, () => sm2.doDecrypt(theirCiphertext, scalar, 1, { output: 'array' })),
    ],
  };
}
