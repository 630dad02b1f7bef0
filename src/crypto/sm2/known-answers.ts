import { createPublicKey, type KeyObject } from 'node:crypto';
import { decryptNow } from './encryption.js';
import { privateKeyOf } from './key-bytes.js';
import { generateSm2Keys } from './keys.js';
import { verifyNow } from './signature.js';

/** One thing that was tried of SM2. */
export interface Sm2Answer {
  readonly mode: 'verify' | 'decrypt' | 'pairwise';
  readonly holds: boolean;
}

// Private key, signature of "message digest" with the default ID, ciphertext of "encryption
// standard". Source: GB/T 32918.5-2017 annexes A.2 and C.2.
const PRIVATE_KEY = '3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8';
const SIGNATURE =
  '3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3' +
  '022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa';
const CIPHERTEXT =
  '307c022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73' +
  '022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0' +
  '042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766' +
  '041321886ca989ca9c7d58087307ca93092d651efa';

/** The standard's answers, and a fresh key against itself; on this thread, some milliseconds. */
export function sm2KnownAnswers(): Sm2Answer[] {
  const privateKey = privateKeyOf(Buffer.from(PRIVATE_KEY, 'hex'));
  const publicKey = createPublicKey(privateKey);
  return [
    { mode: 'verify', holds: holds(() => signatureHolds(publicKey)) },
    { mode: 'decrypt', holds: holds(() => ciphertextHolds(privateKey)) },
    // It throws when the pair does not fit.
    { mode: 'pairwise', holds: holds(() => generateSm2Keys().privateKey.type === 'private') },
  ];
}

/** The signature, and not that of another message or another identity. */
function signatureHolds(publicKey: KeyObject): boolean {
  const signature = Buffer.from(SIGNATURE, 'hex');
  const message = Buffer.from('message digest');
  return (
    verifyNow(publicKey, message, signature) &&
    !verifyNow(publicKey, Buffer.from('message digesu'), signature) &&
    !verifyNow(publicKey, message, signature, '')
  );
}

function ciphertextHolds(privateKey: KeyObject): boolean {
  const message = decryptNow(privateKey, Buffer.from(CIPHERTEXT, 'hex'));
  return message.toString() === 'encryption standard';
}

function holds(attempt: () => boolean): boolean {
  try {
    return attempt();
  } catch {
    return false;
  }
}
