/**
 * SM2 (GB/T 32918) over node:crypto: keys, signatures with an identity, encryption, certificates.
 * What takes a private key or a large message is done on the pool; the files of this folder beside
 * this one do it at once, on whichever thread calls. Keys are KeyObjects, whose secret stays in OpenSSL's memory. Start with
 * sm2; decision 0032 has the reasons.
 */
import type { KeyObject } from 'node:crypto';
import { withMessage } from '../pool/moved-message.js';
import { runTask } from '../pool/pool.js';
import type { Source, WorkOptions } from '../pool/source.js';
import { readSm2Certificate } from './certificate.js';
import { exportSm2Key, importSm2PrivateKey, importSm2PublicKey, type Sm2KeyPair } from './keys.js';

export interface SignatureOptions extends WorkOptions {
  /** Identity of the signer, which both sides have to agree on; the default is GM/T 0009's. */
  readonly id?: string | Uint8Array | undefined;
}

export const sm2 = {
  importPrivateKey: importSm2PrivateKey,
  importPublicKey: importSm2PublicKey,
  exportKey: exportSm2Key,
  readCertificate: readSm2Certificate,

  /** A fresh key after its pairwise test. */
  generateKeys(): Promise<Sm2KeyPair> {
    return runTask({ kind: 'generateSm2' });
  },

  /** Signs by SM2 with SM3. @returns DER, r and s */
  async sign(
    privateKey: KeyObject,
    message: Source,
    options: SignatureOptions = {},
  ): Promise<Buffer> {
    return bufferOf(
      await withMessage(message, options, (moved, ports) =>
        runTask({ kind: 'signSm2', key: privateKey, id: options.id, message: moved }, ports),
      ),
    );
  },

  /** Whether the key's owner has signed the message. @param signature  DER, r and s */
  verify(
    publicKey: KeyObject,
    message: Source,
    signature: Uint8Array,
    options: SignatureOptions = {},
  ): Promise<boolean> {
    return withMessage(message, options, (moved, ports) =>
      runTask(
        { kind: 'verifySm2', key: publicKey, id: options.id, message: moved, signature },
        ports,
      ),
    );
  },

  /** Encrypts up to 64 kB, such as a key. @returns DER: C1, C3, C2 */
  async encrypt(publicKey: KeyObject, message: Uint8Array): Promise<Buffer> {
    return bufferOf(await runTask({ kind: 'encryptSm2', key: publicKey, bytes: message }));
  },

  /** @throws SluiceError invalid_argument, the same whatever is wrong with it */
  async decrypt(privateKey: KeyObject, ciphertext: Uint8Array): Promise<Buffer> {
    return bufferOf(await runTask({ kind: 'decryptSm2', key: privateKey, bytes: ciphertext }));
  },
};

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
