import { afterEach, expect, it } from 'vitest';
import { sampleSession } from '../../model/sample.fixture.js';
import { type Api, GenericClient, startApi } from '../api.fixture.js';
import type { N4PeerStatus } from './service.js';

const smf: N4PeerStatus = {
  nodeId: 'smf.example.org',
  owner: 'grpc:local',
  addresses: ['10.0.0.2', 'fd00::2'],
  associated: true,
  reachable: false,
  associatedAtMs: 1_700_000_000_500,
  recoveryTimeStamp: 1_600_000_000,
  heardMsAgo: 2500,
  profile: 'oai',
  sessions: 3,
  applications: 1,
  cpFeatures: 3,
  messages: [
    { message: 'session_deletion_response', received: 0, sent: 4, causes: { 1: 3, 65: 1 } },
  ],
  duplicates: 7,
  retransmissions: 2,
};

let api: Api;
let client: GenericClient;
afterEach(async () => {
  client.close();
  await api.stop();
});

async function open(served: boolean): Promise<void> {
  const n4 = {
    peerStatus: () => [smf],
    listenTexts: () => ['10.0.0.1:8805'],
    // Sessions that the API makes stand for those of the peer.
    ownerOfPeer: (nodeId: string) => (nodeId === smf.nodeId ? 'grpc:local' : `n4:${nodeId}`),
  };
  api = await startApi(served ? { n4 } : {});
  client = new GenericClient(api.address);
}

it('says that N4 is not served', async () => {
  await open(false);
  await expect(client.call('N4Service/ListPeers')).rejects.toMatchObject({ code: 9 });
});

it('refuses bytes that are no message', async () => {
  await open(true);
  await expect(client.raw('N4Service/ListPeerSessions', Buffer.from([0x0a]))).rejects.toMatchObject(
    { code: 3 },
  );
});

it('lists peers as they are', async () => {
  await open(true);
  expect(await client.call('N4Service/ListPeers')).toEqual({
    listen: ['10.0.0.1:8805'],
    peers: [
      {
        node_id: 'smf.example.org',
        addresses: ['10.0.0.2', 'fd00::2'],
        associated: true,
        reachable: false,
        associated_since: { seconds: '1700000000', nanos: 500_000_000 },
        recovery_time_stamp: { seconds: '1600000000', nanos: 0 },
        silent_for: { seconds: '2', nanos: 500_000_000 },
        profile: 'oai',
        sessions: '3',
        applications: 1,
        cp_features: 3,
        messages: [
          {
            message: 'session_deletion_response',
            received: '0',
            sent: '4',
            causes: { 1: '3', 65: '1' },
          },
        ],
        duplicates: '7',
        retransmissions: '2',
      },
    ],
  });
});

it("lists a peer's sessions in pages, and knows no other peer", async () => {
  await open(true);
  for (const name of ['a', 'b', 'c']) {
    await client.call('SessionService/CreateSession', { session: sampleSession(name) });
  }
  const first = await client.call('N4Service/ListPeerSessions', {
    node_id: smf.nodeId,
    page_size: 2,
  });
  expect(first).toMatchObject({ total: '3', sessions: [{ pdrs: 4, revision: '1' }, {}] });
  const second = await client.call('N4Service/ListPeerSessions', {
    node_id: smf.nodeId,
    page_size: 2,
    page_token: first.next_page_token,
  });
  const names = [first, second].flatMap(({ sessions }) =>
    (sessions as { name: string }[]).map(({ name }) => name),
  );
  expect(names.sort()).toEqual(['a', 'b', 'c']);
  await expect(
    client.call('N4Service/ListPeerSessions', { node_id: 'nobody' }),
  ).rejects.toMatchObject({ code: 5 });
});
