/**
 * The N4 endpoint among SMFs, on a network that loses, doubles and reorders, with a clock that
 * only the simulation moves: one seed is one run. SMFs and the node restart, associations come
 * and go, one SMF floods. Checked all the while: no request is served twice, duplicates get
 * the octets of the first answer, no session is lost, doubled or another's, memory is bounded,
 * and heartbeats are answered whatever others do. Start at {@link simulate}.
 */
import type { MessageReader } from '../../src/n4/codec/message-reader.js';
import { Bed, type FakeSmf, ntp } from '../../src/n4/endpoint.fixture.js';
import type { Peer } from '../../src/n4/peer.js';
import { OPEN_MAX } from '../../src/n4/transactions/open-transactions.js';
import { seededRandom } from '../../src/n4/transport/fake-network.fixture.js';
import { SmfModel, Violation, type World } from './smf-model.js';

const SMFS = 4;
const STEP_MS = 20;
const CHECK_STEPS = 2000;
/** Until everything that is under way is answered or given up, heartbeats of the node too. */
const SETTLE_MS = 12_000;
const FLOODER_SESSIONS = 500;
const HEARTBEAT_MAX_MS = 1000;
const REPLY_CACHE_BYTES = 8 * 1024 * 1024;
const WEATHERS = [
  {},
  { loss: 0.05, duplicates: 0.05 },
  { loss: 0.2, duplicates: 0.2, reorder: 0.3, reorderMs: 200 },
  { reorder: 0.5, reorderMs: 150, delayMs: 30 },
];

export interface Outcome {
  readonly steps: number;
  readonly requests: number;
  readonly served: number;
  readonly duplicates: number;
  readonly kills: number;
  readonly losses: number;
  readonly heartbeats: number;
  readonly checks: number;
}

/** @throws Violation whose message names seed and step. */
export async function simulate(seed: number, steps: number): Promise<Outcome> {
  const simulation = new Simulation(seed);
  let step = 0;
  try {
    for (; step < steps; step++) {
      await simulation.step();
      if (step % CHECK_STEPS === CHECK_STEPS - 1) await simulation.check();
    }
    await simulation.check();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    throw new Violation(`seed ${seed}, step ${step}: ${error.message}`);
  }
  return simulation.outcome(steps);
}

class Simulation implements World {
  readonly #bed: Bed;
  readonly #random: () => number;
  readonly #smfs: SmfModel[] = [];
  readonly #flooder: FakeSmf;
  /** Requests that were served in this life of the node, by peer. */
  readonly #served = new Map<string, Set<string>>();
  kills = 0;
  #losses = 0;
  #checks = 0;
  #duplicates = 0;
  /** No weather, and the node is up, since then. */
  #calmSinceMs = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#bed = new Bed({ heartbeatSeconds: 5, replyCacheBytes: REPLY_CACHE_BYTES }, seed);
    const { sessions } = this.#bed;
    sessions.purgeMs = 30;
    sessions.sessionsMax = FLOODER_SESSIONS;
    sessions.onRequest = (peer, reader) => this.#note(peer, reader);
    for (let i = 0; i < SMFS; i++) {
      this.#smfs.push(new SmfModel(this.#bed.smf(`10.0.1.${i + 1}:8805`), this));
    }
    this.#flooder = this.#bed.smf('10.0.9.9:8805');
    this.#flooder.setUp();
  }

  get nowMs(): number {
    return this.#bed.clock.nowMs;
  }
  random(below: number): number {
    return Math.floor(this.#random() * below);
  }

  async step(): Promise<void> {
    const dice = this.random(10_000);
    if (dice < 4) await this.#kill(dice === 0);
    else if (dice < 30) this.#changeWeather();
    else if (dice < 60) this.#bed.sessions.serviceMs = [0, 0, 5, 80][this.random(4)]!;
    else if (dice < 100) this.#flood();
    this.#smfs[this.random(SMFS)]!.act();
    await this.#pass(this.random(STEP_MS));
  }

  /** Lets everything come to its end, and compares both sides. */
  async check(): Promise<void> {
    this.#checks++;
    this.#bed.network.weather = {};
    this.#calmSinceMs = this.nowMs;
    for (let left = SETTLE_MS; left > 0; left -= 100) await this.#pass(100);
    for (const model of this.#smfs) this.#compare(model);
    const { requestsServed, requestsWaiting, replyCacheBytes } = this.#bed.endpoint.statistics();
    if (requestsServed !== 0) throw new Violation(`${requestsServed} requests were not answered`);
    if (requestsWaiting > SMFS + 1) throw new Violation(`${requestsWaiting} requests wait`);
    if (replyCacheBytes > REPLY_CACHE_BYTES) throw new Violation('the reply cache has grown');
    this.#served.clear();
  }

  outcome(steps: number): Outcome {
    const { counters } = this.#bed.endpoint;
    return {
      steps,
      requests: this.#smfs.reduce((sum, { requests }) => sum + requests, 0),
      served: this.#bed.sessions.served,
      duplicates: this.#duplicates + counters.duplicatesAnswered + counters.duplicatesSilent,
      kills: this.kills,
      losses: this.#losses,
      heartbeats: this.#smfs.reduce((sum, model) => sum + model.heartbeatsAnswered, 0),
      checks: this.#checks,
    };
  }

  async #pass(ms: number): Promise<void> {
    this.#bed.clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
    for (const model of this.#smfs) {
      model.tick();
      this.#checkHeartbeat(model);
    }
    this.#flooder.received.length = 0;
    if (this.#bed.endpoint.statistics().requestsServed > OPEN_MAX) {
      throw new Violation('more requests are served than may be');
    }
  }

  #checkHeartbeat(model: SmfModel): void {
    const since = model.heartbeatSentAtMs;
    if (since < 0 || this.nowMs - since < HEARTBEAT_MAX_MS) return;
    if (since > this.#calmSinceMs) {
      throw new Violation(`a heartbeat of ${model.smf.nodeId} was not answered within a second`);
    }
    model.heartbeatSentAtMs = -1;
  }

  #compare({ smf, associated, sessions, uncertain, outstanding, upfStamp }: SmfModel): void {
    if (outstanding.size > 0) throw new Violation(`${smf.nodeId} waits for answers in vain`);
    // Of a node that has lost its state it learns with its next request.
    if (!associated || Number.parseInt(upfStamp, 16) !== ntp(this.#bed.stamp)) return;
    const there = this.#bed.sessions.of(`n4:${smf.nodeId}`);
    for (const [cpSeid, up] of sessions) {
      if (uncertain.has(cpSeid) || there.get(cpSeid) === up) continue;
      throw new Violation(`${smf.nodeId}: session ${cpSeid} is ${there.get(cpSeid)}, not ${up}`);
    }
    for (const cpSeid of there.keys()) {
      if (sessions.has(cpSeid) || uncertain.has(cpSeid)) continue;
      throw new Violation(`${smf.nodeId}: session ${cpSeid} is nobody's`);
    }
  }

  /** A request of a session is about to be served. */
  #note({ nodeId }: Peer, reader: MessageReader): void {
    const { bytes, bodyAt, bodyEnd, sequence, messageType, seidLow } = reader;
    const body = Buffer.from(bytes.subarray(bodyAt, bodyEnd)).toString('latin1');
    const key = `${messageType} ${sequence} ${seidLow} ${body} ${this.#eraOf(nodeId)}`;
    const seen = this.#served.get(nodeId) ?? new Set<string>();
    this.#served.set(nodeId, seen);
    if (seen.has(key)) throw new Violation(`${nodeId}: request ${sequence} was served twice`);
    seen.add(key);
  }

  /** What begins anew with each association. */
  #eraOf(nodeId: string): number {
    const found = this.#bed.endpoint.peers().find((peer) => peer.nodeId === nodeId);
    return found?.associatedAtMs ?? 0;
  }

  async #kill(withStore: boolean): Promise<void> {
    const { counters } = this.#bed.endpoint;
    this.#duplicates += counters.duplicatesAnswered + counters.duplicatesSilent;
    this.kills++;
    this.#calmSinceMs = Number.POSITIVE_INFINITY;
    if (withStore) {
      this.#losses++;
      await this.#bed.lose();
    } else await this.#bed.kill();
    // No process starts before what was on its way to the last one has arrived nowhere.
    await this.#pass(300 + this.random(2000));
    this.#served.clear();
    this.#bed.open();
    this.#calmNow();
    if (withStore) this.#flooder.setUp();
  }

  #changeWeather(): void {
    this.#bed.network.weather = WEATHERS[this.random(WEATHERS.length)]!;
    this.#calmNow();
  }

  /** What was sent in worse weather may still be under way. */
  #calmNow(): void {
    const isCalm = Object.keys(this.#bed.network.weather).length === 0;
    this.#calmSinceMs = isCalm ? this.nowMs + 300 : Number.POSITIVE_INFINITY;
  }

  #flood(): void {
    for (let i = this.random(2000); i > 0; i--) this.#flooder.establish();
  }
}
