/**
 * Tells when a tunnel peer stops answering Echo Requests, and when it answers again: the log,
 * and whoever listens (Node Reports of N4). Owner: the control thread.
 */
import type { Log } from '../base/log.js';
import type { Datapath, PathChange, PeerStatus } from './datapath.js';

const LOOK_MS = 1000;

export class PathWatch {
  readonly #timer: NodeJS.Timeout;
  readonly #listeners: ((change: PathChange) => void)[] = [];

  constructor(
    private readonly datapath: Pick<Datapath, 'pathChanges'>,
    private readonly log: Log,
  ) {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Is called for each change from now on, within a second of it. */
  listen(listener: (change: PathChange) => void): void {
    this.#listeners.push(listener);
  }

  look(): void {
    for (const change of this.datapath.pathChanges()) {
      const { port, state, before, roundTripUs } = change;
      const fields = { peer: nameOf(change), port, state, before };
      if (state === 'down') this.log.warn(fields, 'the tunnel peer does not answer');
      else this.log.info({ ...fields, roundTripUs }, 'the tunnel peer answers');
      for (const listener of this.#listeners) listener(change);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** The peer as metrics and logs name it: the UDP port only where it is not the usual one. */
export function nameOf({ address, udpPort }: PeerStatus): string {
  if (udpPort === 2152) return address;
  return address.includes(':') ? `[${address}]:${udpPort}` : `${address}:${udpPort}`;
}
