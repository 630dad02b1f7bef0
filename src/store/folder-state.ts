/**
 * What must be known of a data folder before its database may be opened: a small file,
 * replaced as a whole and flushed. A database written without flushes (durability async) is
 * whole after a crash of the process, but not after one of the machine: then it is not opened.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../base/errors.js';

const NAME = 'state.json';
/** Version of the folder's format. */
export const STORE_FORMAT = 1;

export interface FolderState {
  readonly format: number;
  readonly bootId: string;
  /** Everything that was written is on disk. */
  readonly flushed: boolean;
  /** Seconds since 1970. */
  readonly recoveryTimeStamp: number;
}

/** undefined: the folder is new. A SluiceError when the file makes no sense. */
export function readState(folder: string): FolderState | undefined {
  const file = join(folder, NAME);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(file, (error as Error).message);
  }
  let state: FolderState;
  try {
    state = JSON.parse(text) as FolderState;
  } catch {
    throw unreadable(file, 'it is not JSON');
  }
  if (state.format !== STORE_FORMAT) {
    throw unreadable(file, `format ${state.format} is not ${STORE_FORMAT}, the one known here`);
  }
  if (!Number.isSafeInteger(state.recoveryTimeStamp)) {
    throw unreadable(file, 'recoveryTimeStamp is missing');
  }
  return state;
}

/** Replaces the file; on disk when this returns. */
export function writeState(folder: string, state: FolderState): void {
  const file = join(folder, NAME);
  const draft = `${file}.new`;
  const descriptor = openSync(draft, 'w');
  try {
    writeSync(descriptor, `${JSON.stringify(state)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, file);
  flushFile(folder);
}

/** Flushes a file, or the names in a folder, to disk. */
export function flushFile(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function unreadable(file: string, why: string): SluiceError {
  return new SluiceError(
    'failed_precondition',
    `the store's file ${file} can't be used: ${why}; move the data folder away to start empty`,
    { field: 'store.path' },
  );
}
