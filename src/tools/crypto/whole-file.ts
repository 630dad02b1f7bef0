import { createWriteStream, existsSync, linkSync, rmSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { occupied, unwritable } from '../files.js';
import { ToolError } from '../tool-error.js';

/**
 * Writes parts to a new file for its owner alone, which appears under its name when it is whole; or
 * with "-" to standard output, as they come.
 * @returns bytes written
 * @throws ToolError: there is one already, or it cannot be written; what the parts throw
 */
export async function writeWhole(path: string, parts: AsyncIterable<Buffer>): Promise<number> {
  let written = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const part of parts) {
      written += part.length;
      yield part;
    }
  };
  if (path === '-') {
    await pipeline(counted, process.stdout, { end: false });
    return written;
  }
  if (existsSync(path)) throw occupied(path);
  const unfinished = `${path}.part-${process.pid}`;
  try {
    await pipeline(counted, createWriteStream(unfinished, { flags: 'wx', mode: 0o600 }));
    linkSync(unfinished, path);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw occupied(path);
    throw syscall === undefined || error instanceof ToolError ? error : unwritable(path, error);
  } finally {
    rmSync(unfinished, { force: true });
  }
  return written;
}
