import { randomBytes } from 'node:crypto';
import { sm4Gcm } from '../../crypto/crypto.js';
import { aboutFile, readAll, readSecretFile, withFiles, writeSecretFile } from '../files.js';
import { ToolError } from '../tool-error.js';
import { writeWhole } from './whole-file.js';

const KEY_BYTES = 16;

/** Makes an SM4 key and writes it as hexadecimal digits to a new file of mode 0600. */
export function generateSm4File(path: string): void {
  const key = randomBytes(KEY_BYTES);
  writeSecretFile(path, `${key.toString('hex')}\n`);
  key.fill(0);
}

export interface SealRequest {
  /** File, or "-" for standard input. */
  readonly input: string;
  /** New file, or "-" for standard output. */
  readonly output: string;
  readonly keyFile: string;
  /** Aborts the work; no new file appears then. */
  readonly signal: AbortSignal;
}

/** Seals a file. @returns bytes written */
export function sealFile({ input, output, keyFile, signal }: SealRequest): Promise<number> {
  return withFiles(async () => {
    const key = readKey(keyFile);
    try {
      return await writeWhole(output, sm4Gcm.sealStream(key, readAll(input), { signal }));
    } finally {
      key.fill(0);
    }
  });
}

/** Opens a sealed file; a new file appears only when all of it has held. @returns bytes written */
export function openFile({ input, output, keyFile, signal }: SealRequest): Promise<number> {
  return withFiles(async () => {
    const key = readKey(keyFile);
    try {
      return await writeWhole(output, sm4Gcm.openStream(key, readAll(input), { signal }));
    } catch (error) {
      throw aboutFile(input, error);
    } finally {
      key.fill(0);
    }
  });
}

function readKey(path: string): Buffer {
  const text = readSecretFile(path).toString('latin1').trim();
  if (!/^[0-9a-fA-F]{32}$/.test(text)) {
    throw new ToolError(
      `${path} is no SM4 key: ${2 * KEY_BYTES} hexadecimal digits, as "sluice crypto keygen sm4" writes them`,
    );
  }
  return Buffer.from(text, 'hex');
}
