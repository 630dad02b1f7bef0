import { expect, it } from 'vitest';
import * as Message from './codec/message-type.js';
import { MessageWriter } from './codec/message-writer.js';
import { Bed } from './endpoint.fixture.js';
import type { Peer } from './peer.js';

const OWNER = 'n4:10.0.0.2';

/** An SMF with two addresses, both in the configuration, that has associated from the first. */
async function twoAddresses() {
  const bed = new Bed({
    peers: [{ nodeId: '10.0.0.2', addresses: ['10.0.0.2', '10.0.0.3'], profile: 'auto' }],
  });
  const first = bed.smf('10.0.0.2:8805');
  const second = bed.smf('10.0.0.3:8805', '10.0.0.2');
  first.setUp();
  await bed.run(20);
  expect(first.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 1 }]);
  return { bed, first, second };
}

it('an address of a peer that it has not associated from is nobody', async () => {
  const { bed, second } = await twoAddresses();
  second.establish();
  await bed.run(20);
  expect(second.take(Message.SessionEstablishmentResponse)).toMatchObject([{ cause: 72 }]);
  expect(bed.sessions.of(OWNER).size).toBe(0);
});

it('sessions are those of the peer, whichever of its addresses asks, which is also answered', async () => {
  const { bed, first, second } = await twoAddresses();
  first.establish(7);
  await bed.run(20);
  expect(first.take(Message.SessionEstablishmentResponse)).toMatchObject([{ cause: 1 }]);
  // The same recovery time stamp: the sessions stay.
  second.setUp();
  await bed.run(20);
  expect(second.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 1 }]);
  expect(bed.endpoint.peers()).toMatchObject([
    { nodeId: '10.0.0.2', addresses: ['10.0.0.3', '10.0.0.2'], sessions: 1 },
  ]);
  const [up] = bed.sessions.of(OWNER).values();
  for (const smf of [first, second]) {
    smf.modify(up!);
    await bed.run(20);
    expect(smf.take(Message.SessionModificationResponse)).toMatchObject([{ cause: 1 }]);
  }
  first.delete(up!);
  await bed.run(20);
  expect(first.take(Message.SessionDeletionResponse)).toMatchObject([{ cause: 1 }]);
  expect(bed.sessions.of(OWNER).size).toBe(0);
});

it('requests of ours go to the address that associated last, and are answered from either', async () => {
  const { bed, first, second } = await twoAddresses();
  second.setUp();
  await bed.run(20);
  first.answersHeartbeats = false;
  await bed.run(21_000, 100);
  expect(second.take(Message.HeartbeatRequest).length).toBeGreaterThan(0);
  expect(first.take(Message.HeartbeatRequest)).toEqual([]);
  expect(bed.endpoint.peers()).toMatchObject([{ reachable: true }]);
});

/** An SMF that sends its requests from a port of its own; `served`: it serves at PFCP's, too. */
async function ownPort(served: boolean) {
  const bed = new Bed({ n1: 3 });
  const client = bed.smf('10.0.0.2:4000');
  const server = served ? bed.smf('10.0.0.2:8805') : undefined;
  client.setUp();
  await bed.run(20);
  const report = () => bed.endpoint.pathChanged({ address: '192.0.2.7', isUp: false });
  return { bed, client, server, report };
}

it("requests of ours go to PFCP's port and nowhere else, though nothing has answered yet", async () => {
  const { bed, client, server, report } = await ownPort(true);
  report();
  await bed.run(20);
  expect(server!.take(Message.NodeReportRequest)).toHaveLength(1);
  await bed.run(5000, 50);
  expect(server!.take(Message.NodeReportRequest)).toHaveLength(2);
  expect(client.take(Message.NodeReportRequest)).toEqual([]);
});

it('a request goes to the port that has answered, be others never answered there', async () => {
  const { bed, client, report } = await ownPort(false);
  await bed.run(22_000, 50);
  expect(bed.endpoint.peers()).toMatchObject([{ reachable: true }]);
  for (let round = 0; round < 2; round++) {
    report();
    await bed.run(5000, 50);
    expect(client.take(Message.NodeReportRequest)).toHaveLength(3);
  }
});

it("a peer that is not at PFCP's port gets what comes after the first request", async () => {
  const { bed, client, report } = await ownPort(false);
  report();
  await bed.run(5000, 50);
  expect(client.take(Message.NodeReportRequest)).toEqual([]);
  report();
  await bed.run(5000, 50);
  expect(client.take(Message.NodeReportRequest)).toHaveLength(1);
});

/**
 * An SMF whose sessions are at another address than its association, which `serves` or not; and
 * a request of ours on such a session: who answered it, as it is told.
 */
async function sessionsElsewhere(serves: boolean, keys: { allow?: string[] } = {}) {
  const bed = new Bed({ n1: 3, t1Ms: 1000, ...keys });
  const node = bed.smf('10.0.0.2:8805');
  const server = serves ? bed.smf('10.0.0.9:8805', '10.0.0.2') : undefined;
  node.cpAddress = 0x0a000009;
  node.setUp();
  let peer: Peer | undefined;
  bed.sessions.onRequest = (from) => {
    peer = from;
  };
  await bed.run(20);
  node.establish(7);
  await bed.run(20);
  const [up] = bed.sessions.of(OWNER).values();
  const told: string[] = [];
  const report = () => {
    const writer = new MessageWriter();
    writer.begin(Message.SessionReportRequest, true, 7, 0);
    const listener = (response: unknown, isElsewhere: boolean) =>
      told.push(response === undefined ? 'nobody' : isElsewhere ? 'node' : 'server');
    peer!.request(writer, listener, '10.0.0.9');
  };
  return { bed, node, server, report, told, up: up! };
}

it('requests on a session go to the address of its CP F-SEID, and are answered from there', async () => {
  const { bed, node, server, report, told } = await sessionsElsewhere(true);
  report();
  await bed.run(20);
  expect(node.take(Message.SessionReportRequest)).toEqual([]);
  const [request] = server!.take(Message.SessionReportRequest);
  server!.writer.begin(Message.SessionReportResponse, true, 1, 0);
  server!.writer.cause(1);
  server!.send(request!.sequence);
  await bed.run(20);
  expect(told).toEqual(['server']);
  expect(bed.endpoint.statistics()).toMatchObject({ counters: { stray: 0 }, requestsWaiting: 0 });
});

it('where nobody answers there the association has its turns, and the first one from then on', async () => {
  const { bed, node, report, told } = await sessionsElsewhere(false);
  const answer = async () => {
    const [request] = node.take(Message.SessionReportRequest);
    node.writer.begin(Message.SessionReportResponse, true, 1, 0);
    node.writer.cause(1);
    node.send(request!.sequence);
    await bed.run(20);
  };
  report();
  await bed.run(500);
  expect(node.take(Message.SessionReportRequest)).toEqual([]);
  await bed.run(600);
  await answer();
  expect(told).toEqual(['node']);
  report();
  await bed.run(20);
  await answer();
  expect(told).toEqual(['node', 'node']);
});

it('nothing is sent to an address of sessions that is not allowed', async () => {
  const { bed, node, server, report } = await sessionsElsewhere(true, { allow: ['10.0.0.2/32'] });
  report();
  await bed.run(5000, 50);
  expect(server!.received).toEqual([]);
  expect(node.take(Message.SessionReportRequest)).toHaveLength(3);
});

it('the address of a CP F-SEID may ask for its session, and for no other one', async () => {
  const { bed, node, server, up } = await sessionsElsewhere(true);
  node.cpAddress = 0x0a000002;
  node.establish(8);
  await bed.run(20);
  const other = bed.sessions.of(OWNER).get(8)!;
  const stranger = bed.smf('10.0.0.10:8805', '10.0.0.2');
  const causes = [];
  for (const [smf, seid] of [
    [stranger, up],
    [server!, other],
    [server!, up],
  ] as const) {
    smf.modify(seid);
    await bed.run(20);
    causes.push(...smf.take(Message.SessionModificationResponse).map(({ cause }) => cause));
  }
  expect(causes).toEqual([72, 72, 1]);
});
