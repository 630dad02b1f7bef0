/**
 * For tests of PFCP sessions on the native packet path: an SMF, packets at ports, and a clock
 * that moves when the test says so. No sockets and no threads.
 */
import { expect } from 'vitest';
import { describeMessage } from '../src/n4/codec/describe.js';
import {
  accepted,
  answerReport,
  FakePeer,
  type Loose,
  type N4Parts,
  requestsOn,
  settle,
} from '../src/n4/session/session.fixture.js';
import { SteppedUpf } from './stepped-upf.js';
import { packetOf, textOf } from './wire/text.js';

const START_NS = 1_700_000_000_000_000_000;
const NS_PER_S = 1e9;

export class N4Lab implements N4Parts {
  readonly peer = new FakePeer();

  private constructor(
    readonly upf: SteppedUpf,
    readonly requests = requestsOn(upf.engine),
  ) {}

  static async start(): Promise<N4Lab> {
    const hold = { packetsMax: 1024, ms: 60_000 };
    return new N4Lab(await SteppedUpf.start({ startNs: START_NS, hold }));
  }

  get engine() {
    return this.upf.engine;
  }
  ask(request: Uint8Array) {
    return accepted(this, this.peer, request);
  }
  /** What leaves for a packet at a port: "n6 udp …", or the drop reasons. */
  send(line: string): string[] {
    const [, port, text] = /^(\S+) (.*)$/.exec(line)!;
    return this.#turn(this.upf.port(port!), packetOf(text!));
  }
  pass(seconds: number): string[] {
    this.upf.nowNs += seconds * NS_PER_S;
    return this.#turn(0, new Uint8Array(0));
  }
  #turn(port: number, bytes: Uint8Array): string[] {
    this.upf.packets.add(port, this.upf.nowNs, bytes);
    const { sent, dropped } = this.upf.packets.play()[0]!;
    expect(this.upf.unaccounted()).toBe(0);
    const names = ['n3', 'n6', 'ims'];
    return [
      ...sent.map((one) => `${names[one.port]} ${textOf(one.bytes, one.port === 0)}`),
      ...dropped,
    ];
  }
  /** Elements of the report requests that the peer got since the last call; answers them. */
  async reports(): Promise<Loose[]> {
    this.upf.engine.drainEvents();
    await settle();
    const told = this.peer.sent.splice(0);
    for (const sent of told) answerReport(sent);
    return told.map(({ bytes }) => describeMessage(bytes)!.elements);
  }
}

export const UP = 'udp 10.70.0.1:4000 > 203.0.113.9:53 100';
export const DOWN = 'udp 203.0.113.9:53 > 10.70.0.1:4000 100';
export const USAGE = 'Usage Report (Session Report Request)';
export const teidOf = (elements: Loose) => elements['Created PDR'][0]['F-TEID'][0].teid;
export const tunnel = (teid: string, qfi = '') =>
  `n3 gtpu 10.1.1.1 > 10.0.0.1 teid ${teid}${qfi} |`;
