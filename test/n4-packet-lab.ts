/** PFCP sessions on the native packet path, for tests: no sockets and no threads. */
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

/** The packet path and the session requests of one peer, on a clock that moves when the test says so. */
export class N4PacketLab implements N4Parts {
  readonly peer = new FakePeer();

  private constructor(
    readonly upf: SteppedUpf,
    readonly requests = requestsOn(upf.engine),
  ) {}

  static async start(): Promise<N4PacketLab> {
    const hold = { packetsMax: 1024, ms: 60_000 };
    return new N4PacketLab(await SteppedUpf.start({ startNs: START_NS, hold }));
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
