import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { wipe } from '../sm3-state.js';
import { decryptNow, encryptNow } from './encryption.js';
import { pointOf, scalarOf, signingKey } from './key-bytes.js';
import { signNow, verifyNow } from './signature.js';

export interface Sm2KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface Sm2KeyOptions {
  /** Of an encrypted PEM. */
  readonly passphrase?: string | Buffer | undefined;
}

/**
 * A fresh key from OpenSSL's random numbers, after a pairwise test.
 * @throws SluiceError internal when its halves do not fit; the key is then not to be used
 */
export function generateSm2Keys(): Sm2KeyPair {
  const fresh = generateKeyPairSync('ec', { namedCurve: 'SM2' });
  const privateKey = signingKey(fresh.privateKey);
  const publicKey = createPublicKey(privateKey);
  const failure = pairwiseFailure({ privateKey, publicKey });
  if (failure !== undefined) {
    throw new SluiceError('internal', `a fresh SM2 key failed its test: ${failure}`);
  }
  return { privateKey, publicKey };
}

/** What the halves of a key don't do for each other; undefined: they fit. */
export function pairwiseFailure({ privateKey, publicKey }: Sm2KeyPair): string | undefined {
  const message = Buffer.from('pairwise consistency test');
  if (!verifyNow(publicKey, message, signNow(privateKey, message))) {
    return 'what it signs is not verified';
  }
  const sealed = encryptNow(publicKey, message);
  if (sealed.includes(message) || !decryptNow(privateKey, sealed).equals(message)) {
    return 'what it encrypts is not decrypted';
  }
  return undefined;
}

/**
 * A private key from PEM: PKCS #8, encrypted too, or SEC 1 ("EC PRIVATE KEY").
 * @throws SluiceError invalid_argument: no such PEM, another curve, wrong or missing passphrase
 */
export function importSm2PrivateKey(
  pem: string | Buffer,
  { passphrase }: Sm2KeyOptions = {},
): KeyObject {
  const encrypted = /ENCRYPTED/.test(pem.toString());
  if (encrypted && passphrase === undefined) {
    throw new SluiceError('invalid_argument', 'is encrypted; a passphrase is needed');
  }
  const what = encrypted ? 'a private key with this passphrase' : 'a private key';
  const key = parsed(what, () =>
    createPrivateKey({ key: pem, format: 'pem', ...(passphrase !== undefined && { passphrase }) }),
  );
  wipe(scalarOf(key));
  return key;
}

/**
 * A public key from PEM: SubjectPublicKeyInfo, or a certificate.
 * @throws SluiceError invalid_argument: no such PEM, another curve, a point that is not on it
 */
export function importSm2PublicKey(pem: string | Buffer): KeyObject {
  const text = pem.toString();
  if (text.includes('PRIVATE KEY')) {
    throw new SluiceError('invalid_argument', 'is a private key; a public one is asked for');
  }
  const key = parsed('a public key', () =>
    text.includes('BEGIN CERTIFICATE')
      ? new X509Certificate(pem).publicKey
      : createPublicKey({ key: pem, format: 'pem' }),
  );
  pointOf(key);
  return key;
}

/** PKCS #8 or SubjectPublicKeyInfo as PEM; with a passphrase encrypted by AES-256-CBC. */
export function exportSm2Key(key: KeyObject, { passphrase }: Sm2KeyOptions = {}): string {
  if (key.type === 'public') return String(key.export({ type: 'spki', format: 'pem' }));
  return String(
    key.export({
      type: 'pkcs8',
      format: 'pem',
      ...(passphrase !== undefined && { cipher: 'aes-256-cbc', passphrase }),
    }),
  );
}

function parsed(what: string, parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch (error) {
    const { message } = error as Error;
    throw new SluiceError('invalid_argument', `is no PEM of ${what} (${message})`);
  }
}
