/**
 * Says in the log when a tunnel peer stops answering Echo Requests, and when it answers again.
 * The packet path counts changes of state; only when there are new ones are the peers looked
 * at. Owner: the control thread.
 */
import type { Log } from '../base/log.js';
import type { Datapath, PeerStatus } from './datapath.js';

const LOOK_MS = 1000;

export class PathLog {
  readonly #timer: NodeJS.Timeout;
  #transitions = 0;
  #known = new Map<string, string>();

  constructor(
    private readonly datapath: Pick<Datapath, 'status' | 'pathTransitions'>,
    private readonly log: Log,
  ) {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  look(): void {
    const transitions = this.datapath.pathTransitions();
    if (transitions === this.#transitions) return;
    this.#transitions = transitions;
    const now = new Map<string, string>();
    for (const peer of this.datapath.status().peers) {
      const name = nameOf(peer);
      now.set(name, peer.state);
      const before = this.#known.get(name) ?? 'unknown';
      if (peer.state === before) continue;
      const fields = { peer: name, port: peer.port, state: peer.state, before };
      if (peer.state === 'down') this.log.warn(fields, 'the tunnel peer does not answer');
      else this.log.info({ ...fields, roundTripUs: peer.roundTripUs }, 'the tunnel peer answers');
    }
    this.#known = now;
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
