import { describe, expect, it } from 'vitest';
import { describeMessage } from '../codec/describe.js';
import * as Message from '../codec/message-type.js';
import { MessageWriter } from '../codec/message-writer.js';
import { PeerState } from '../peers/peer-state.js';
import { PROFILE } from '../session/session.fixture.js';
import { LoadControl, VALIDITY_MS } from './load-control.js';

const LOAD = 1;
const OVRL = 2;
const FIRST = 1_700_000_000;

/** A node whose load is what a test says, and what its peers are told. */
class Node {
  load = 0;
  readonly requests = { received: 0, shed: 0 };
  readonly control: LoadControl;
  nowMs = 0;

  constructor(firstSequence = FIRST) {
    const source = { load: () => this.load, requests: () => ({ ...this.requests }) };
    this.control = new LoadControl(source, firstSequence);
  }

  second(received = 0, shed = 0): void {
    this.requests.received += received;
    this.requests.shed += shed;
    this.nowMs += 1000;
    this.control.tick(this.nowMs);
  }

  peer(cpFeatures: number): PeerState {
    const peer = new PeerState('10.0.0.2', 1, PROFILE, { request: () => {} });
    peer.cpFeatures = cpFeatures;
    return peer;
  }

  /** What the next response of a session tells that peer. */
  tells(peer: PeerState, messageType: number = Message.SessionDeletionResponse): unknown {
    const writer = new MessageWriter();
    writer.begin(messageType, true, 1, 0);
    this.control.append(peer, writer);
    writer.finish(1);
    return describeMessage(writer.bytes, 0, writer.length)!.elements;
  }
}

const load = (sequence: number, metric: number) => ({
  'Load Control Information': { 'Sequence Number': sequence, Metric: metric },
});
const reduction = (sequence: number, metric: number) => ({
  'Overload Control Information': {
    'Sequence Number': sequence,
    Metric: metric,
    Timer: { value: 5, unit: '2 s' },
  },
});

describe('load', () => {
  it('is told each peer that reads it, once, and again when it has moved', () => {
    const node = new Node();
    const peer = node.peer(LOAD);
    expect(node.tells(peer)).toMatchObject(load(FIRST, 0));
    expect(node.tells(peer)).toEqual({});
    node.load = 0.04;
    node.second();
    expect(node.tells(peer)).toEqual({});
    node.load = 0.3;
    node.second();
    expect(node.tells(peer)).toMatchObject(load(FIRST + 1, 30));
    expect(node.tells(node.peer(0))).toEqual({});
  });

  it('is in responses of sessions only, and told again when one did not go out', () => {
    const node = new Node();
    const peer = node.peer(LOAD);
    expect(node.tells(peer, Message.HeartbeatResponse)).toEqual({});
    expect(node.tells(peer)).toMatchObject(load(FIRST, 0));
    node.control.withdraw(peer);
    expect(node.tells(peer)).toMatchObject(load(FIRST, 0));
  });
});

describe('overload', () => {
  it('asks for fewer requests while some are shed, and takes it back afterwards', () => {
    const node = new Node();
    const peer = node.peer(OVRL);
    node.second(1000);
    expect(node.tells(peer)).toEqual({});
    node.second(1000, 250);
    expect(node.tells(peer)).toMatchObject(reduction(FIRST, 25));
    expect(node.tells(peer)).toEqual({});
    expect(node.tells(node.peer(LOAD))).not.toHaveProperty('Overload Control Information');
    for (let passed = 0; passed <= VALIDITY_MS; passed += 1000) node.second(1000);
    expect(node.tells(peer)).toMatchObject(reduction(FIRST + 1, 0));
  });

  it('that goes on is told again before the reduction runs out', () => {
    const node = new Node();
    const peer = node.peer(OVRL);
    let told = 0;
    for (let passed = 0; passed < VALIDITY_MS; passed += 1000) {
      node.second(1000, 250);
      if (Object.keys(node.tells(peer) as object).length > 0) told++;
    }
    expect(told).toBe(2);
  });

  it('is numbered on by the next process', () => {
    const before = new Node();
    for (let i = 0; i < 30; i++) {
      before.load = (i % 2) * 0.5;
      before.second(1000, i % 2 === 0 ? 100 : 600);
    }
    const last = before.tells(before.peer(LOAD | OVRL)) as Record<string, Record<string, number>>;
    const next = new Node(FIRST + 31);
    next.second(1000, 100);
    const first = next.tells(next.peer(LOAD | OVRL)) as typeof last;
    for (const element of ['Load Control Information', 'Overload Control Information']) {
      expect(first[element]!['Sequence Number']).toBeGreaterThan(
        last[element]!['Sequence Number']!,
      );
    }
  });
});
