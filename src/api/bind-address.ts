import { existsSync, lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type ListenAddress, listenText } from '../base/config/listen.js';

/** An address that can't be listened on; the message names the key and what to do. */
export class BindError extends Error {
  constructor(
    readonly key: string,
    message: string,
  ) {
    super(`${key}: ${message}`);
    this.name = 'BindError';
  }
}

/** In words for the person who wrote `key`. */
export function bindError(key: string, address: ListenAddress, error: unknown): BindError {
  const cause = error as NodeJS.ErrnoException;
  const named = cause.code ?? /\bE[A-Z]{4,}\b/.exec(cause.message)?.[0] ?? '';
  const code = missingFolder(address) ? 'ENOENT' : named;
  const place = listenText(address);
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `${place} is already in use; stop the other process or choose another address`,
    EADDRNOTAVAIL: `${place} is no address of this machine; choose one that "ip address" shows`,
    EACCES: `no permission to listen on ${place}; choose a port above 1023 or another folder`,
    ENOENT: `the folder of ${place} does not exist; make it first`,
    ENOTFOUND: `the name in ${place} is not known; write an IP address`,
    EAI_AGAIN: `the name in ${place} can't be resolved now; write an IP address`,
  };
  return new BindError(key, reasons[code] ?? `cannot listen on ${place}: ${cause.message}`);
}

/** For which the system's code depends on the library that asked it. */
function missingFolder(address: ListenAddress): boolean {
  return address.kind === 'unix' && !existsSync(dirname(address.path));
}

/**
 * Removes the socket file of a process that is gone.
 * @throws BindError when somebody answers there, or when the file is no socket.
 */
export async function clearStaleSocket(key: string, address: ListenAddress): Promise<void> {
  if (address.kind !== 'unix') return;
  const found = lstatSync(address.path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new BindError(key, `${address.path} exists and is no socket; choose another path`);
  }
  if (await somebodyListens(address.path)) {
    throw bindError(key, address, Object.assign(new Error('in use'), { code: 'EADDRINUSE' }));
  }
  rmSync(address.path, { force: true });
}

/** A unix socket's file outlives its server unless it is removed. */
export function removeSocketFile(address: ListenAddress): void {
  if (address.kind !== 'unix') return;
  const found = lstatSync(address.path, { throwIfNoEntry: false });
  if (found?.isSocket()) rmSync(address.path, { force: true });
}

function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Only a refusal proves that nobody is there; a full backlog (EAGAIN) does not.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
