import { closeSync, createReadStream, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { SluiceError } from '../base/errors.js';
import { ToolError, usageError } from './tool-error.js';

/** A file that others may not read, in octal. */
const SECRET_MODE = 0o600;
/** Files of keys, signatures and certificates; more is none of them. */
const SMALL_FILE_BYTES_MAX = 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/** A small file. @throws ToolError */
export function readSmallFile(path: string): Buffer {
  return opened(path, (fd) => readFileSync(small(fd, path)));
}

/**
 * A file with a secret, which its owner alone may read or write.
 * @throws ToolError that says how to make it so
 */
export function readSecretFile(path: string): Buffer {
  return opened(path, (fd) => {
    const { mode } = fstatSync(fd);
    if ((mode & 0o077) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, '0');
      throw new ToolError(
        `others may read ${path} (mode ${found}), which has to be a secret; chmod 600 ${path}`,
      );
    }
    return readFileSync(small(fd, path));
  });
}

/** A new file for its owner alone. @throws ToolError: there is one already */
export function writeSecretFile(path: string, content: string | Uint8Array): void {
  writeNewFile(path, content, SECRET_MODE);
}

/** A new file. @throws ToolError: there is one already */
export function writeNewFile(path: string, content: string | Uint8Array, mode = 0o644): void {
  let fd: number;
  try {
    fd = openSync(path, 'wx', mode);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST'
      ? occupied(path)
      : unwritable(path, error);
  }
  try {
    writeSync(fd, Buffer.from(content as Uint8Array));
  } catch (error) {
    throw unwritable(path, error);
  } finally {
    closeSync(fd);
  }
}

/** The bytes of a file of any size, or with "-" of standard input. @throws ToolError */
export async function* readAll(path: string): AsyncGenerator<Buffer> {
  if (path === '-' && process.stdin.isTTY === true) {
    throw usageError('-: standard input is a terminal; pipe something in, or name a file');
  }
  try {
    yield* path === '-' ? process.stdin : createReadStream(path, { highWaterMark: READ_BYTES });
  } catch (error) {
    throw unusable(path, error);
  }
}

/** Runs something with files and keys: what goes wrong with them becomes a ToolError. */
export async function withFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SluiceError && error.code !== 'internal') {
      const flag = error.field === 'id' ? '--id: ' : '';
      throw new ToolError(`${flag}${error.message}`);
    }
    throw error;
  }
}

/** What `read` makes of a file's content; its complaints get the file's name. */
export function parsed<T>(path: string, content: Buffer, read: (content: Buffer) => T): T {
  try {
    return read(content);
  } catch (error) {
    throw aboutFile(path, error);
  }
}

/** A refusal of a file's content, with the file's name; anything else as it is. */
export function aboutFile(path: string, error: unknown): unknown {
  const name = path === '-' ? 'the input' : path;
  return error instanceof SluiceError ? new ToolError(`${name} ${error.message}`) : error;
}

function opened<T>(path: string, use: (fd: number) => T): T {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw unusable(path, error);
  }
  try {
    return use(fd);
  } catch (error) {
    throw error instanceof ToolError ? error : unusable(path, error);
  } finally {
    closeSync(fd);
  }
}

function small(fd: number, path: string): number {
  if (fstatSync(fd).size <= SMALL_FILE_BYTES_MAX) return fd;
  throw new ToolError(`${path} is too large for a key, a certificate or a signature`);
}

/** There is a file where a new one should go. */
export function occupied(path: string): ToolError {
  return new ToolError(`${path} is there already and is not overwritten; choose another name`);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  EACCES: 'may not be read or written by this user',
  EISDIR: 'is a folder',
  ENOTDIR: 'is in something that is no folder',
  ENOSPC: 'has no room: the disk is full',
};

/** The same of a file to be written: what is missing then is its folder. */
export function unwritable(path: string, error: unknown): ToolError {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return unusable(path, error);
  return new ToolError(`${path} cannot be written: its folder is not there`);
}

/** A failure of the system with a file, as a sentence. */
export function unusable(path: string, error: unknown): ToolError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new ToolError(`${path} ${REASONS[code] ?? `cannot be used: ${message}`}`);
}
