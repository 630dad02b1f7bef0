/**
 * How keys of protections are wrapped for the store: by SM4-GCM under the node's key, which is in a
 * file that its owner alone may read. Another provider, such as one that asks a KMS or an HSM,
 * implements {@link KeyWrap}. Owner: the control thread.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { SluiceError } from '../base/errors.js';
import { sm4Gcm } from '../crypto/crypto.js';

/** Whoever gets bytes of secrets wipes them. */
export interface KeyWrap {
  /** @param context  what the secret is; it opens with the same alone. */
  wrap(secret: Uint8Array, context: string): Promise<Uint8Array>;
  /** @throws SluiceError: not wrapped by this provider's key, or with another context */
  unwrap(wrapped: Uint8Array, context: string): Promise<Buffer>;
}

const KEY_BYTES = 16;
const OTHERS = 0o077;
const FIELD = 'crypto.nodeKey';

/** The key is read when it is wanted first; a file that is not there is made by the first wrap. */
export class NodeKeyFile implements KeyWrap {
  #key: Buffer | undefined;

  constructor(private readonly file: string) {}

  async wrap(secret: Uint8Array, context: string): Promise<Uint8Array> {
    this.#key ??= readKey(this.file) ?? makeKey(this.file);
    return sm4Gcm.seal(this.#key, secret, { aad: Buffer.from(context) });
  }

  async unwrap(wrapped: Uint8Array, context: string): Promise<Buffer> {
    this.#key ??= readKey(this.file);
    if (this.#key === undefined) {
      throw refused(`${this.file} is missing, and the keys of protections were wrapped with it`);
    }
    try {
      return await sm4Gcm.open(this.#key, wrapped, { aad: Buffer.from(context) });
    } catch {
      throw refused(`${this.file} is not the key that the store's protections were wrapped with`);
    }
  }
}

function refused(message: string): SluiceError {
  return new SluiceError('failed_precondition', message, { field: FIELD });
}

function readKey(file: string): Buffer | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw refused(`${file} can't be read: ${(error as Error).message}`);
  }
  try {
    const status = fstatSync(descriptor);
    // A folder can be opened too, and not read.
    if (!status.isFile()) throw refused(`${file} is no file`);
    if ((status.mode & OTHERS) !== 0) {
      throw refused(`others may read or change ${file}; run chmod 600 ${file}`);
    }
    const key = readFileSync(descriptor);
    if (key.length === KEY_BYTES) return key;
    throw refused(`${file} has ${key.length} bytes; a node key has ${KEY_BYTES}`);
  } finally {
    closeSync(descriptor);
  }
}

/** On disk when this returns: what is wrapped with it must not outlive it. */
function makeKey(file: string): Buffer {
  const key = randomBytes(KEY_BYTES);
  let descriptor: number;
  try {
    descriptor = openSync(file, 'wx', 0o600);
  } catch (error) {
    throw refused(`${file} can't be made: ${(error as Error).message}`);
  }
  try {
    writeSync(descriptor, key);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return key;
}
