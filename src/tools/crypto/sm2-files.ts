import { type Sm2KeyOptions, sm2 } from '../../crypto/crypto.js';
import {
  parsed,
  readAll,
  readSecretFile,
  readSmallFile,
  withFiles,
  writeNewFile,
  writeSecretFile,
} from '../files.js';
import { ToolError } from '../tool-error.js';

export interface KeyFiles {
  /** Where the private key goes. */
  readonly out: string;
  /** Where the public one goes. */
  readonly publicOut: string;
  /** File with the passphrase in its first line; undefined: the key is stored as it is. */
  readonly passphraseFile?: string | undefined;
}

/** Makes a key and writes its halves, neither over a file that is there. */
export function generateSm2Files({ out, publicOut, passphraseFile }: KeyFiles): Promise<void> {
  return withFiles(async () => {
    const options = passphraseOf(passphraseFile);
    const { privateKey, publicKey } = await sm2.generateKeys();
    writeSecretFile(out, sm2.exportKey(privateKey, options));
    writeNewFile(publicOut, sm2.exportKey(publicKey));
  });
}

export interface SignRequest {
  /** File, or "-" for standard input. */
  readonly input: string;
  readonly keyFile: string;
  readonly passphraseFile?: string | undefined;
  readonly id?: string | undefined;
}

/** Signs a file. @returns DER */
export function signFile(request: SignRequest): Promise<Buffer> {
  return withFiles(async () => {
    const { keyFile, passphraseFile, input, id } = request;
    const options = passphraseOf(passphraseFile);
    const key = parsed(keyFile, readSecretFile(keyFile), (pem) =>
      sm2.importPrivateKey(pem, options),
    );
    return await sm2.sign(key, readAll(input), { id });
  });
}

export interface VerifyRequest {
  /** File, or "-" for standard input. */
  readonly input: string;
  /** Public key or certificate. */
  readonly keyFile: string;
  readonly signatureFile: string;
  readonly id?: string | undefined;
}

/** Whether the signature of a file is good. */
export function verifyFile(request: VerifyRequest): Promise<boolean> {
  return withFiles(async () => {
    const { keyFile, signatureFile, input, id } = request;
    const key = parsed(keyFile, readSmallFile(keyFile), sm2.importPublicKey);
    return await sm2.verify(key, readAll(input), readSmallFile(signatureFile), { id });
  });
}

function passphraseOf(file: string | undefined): Sm2KeyOptions {
  if (file === undefined) return {};
  const passphrase = readSecretFile(file).toString('utf8').split('\n')[0]!.trimEnd();
  if (passphrase === '') throw new ToolError(`${file} has no passphrase in its first line`);
  return { passphrase };
}
