import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { sampleSession } from '../../model/sample.fixture.js';
import {
  type Api,
  ending,
  GenericClient,
  type Message,
  startApi,
  until,
  violations,
} from '../api.fixture.js';
import type { N4Datagram, N4PeerStatus, N4Watch } from './service.js';

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

/** What the tests let come and go. */
class WatchOfTest implements N4Watch {
  lost = 0;
  closed = false;
  queue: N4Datagram[] = [];
  take(most: number): N4Datagram[] {
    return this.queue.splice(0, most);
  }
  close(): void {
    this.closed = true;
  }
}
const request: N4Datagram = {
  timeMs: 1_700_000_000_000.25,
  sent: false,
  family: 4,
  ...{ local: '10.0.0.1', localPort: 8805, remote: '10.0.0.2', remotePort: 40_000 },
  bytes: Buffer.from(`2101001400000000000000070000050000600004ea000000`, 'hex'),
};
const answer: N4Datagram = {
  ...request,
  sent: true,
  family: 6,
  ...{ local: '::1', remote: 'fd00::2' },
  bytes: Buffer.from('200200ff', 'hex'),
};
let watches: { watch: WatchOfTest; asked: unknown[] }[];

let api: Api;
let client: GenericClient;
afterEach(async () => {
  client.close();
  await api.stop();
});

async function open(served: boolean): Promise<void> {
  watches = [];
  const n4 = {
    peerStatus: () => [smf],
    listenTexts: () => ['10.0.0.1:8805'],
    // Sessions that the API makes stand for those of the peer.
    nodeIdOf: (address: string) => (address === '10.0.0.2' ? smf.nodeId : ''),
    watch: (...asked: unknown[]) => {
      const watch = new WatchOfTest();
      watches.push({ watch, asked });
      return watch;
    },
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

describe('Trace and Capture', () => {
  const start = async (method: string, ask: Message = {}) => {
    const stream = client.watch(`N4Service/${method}`, ask);
    const done = ending(stream);
    const chunks: Message[] = [];
    stream.on('data', (chunk: Message) => chunks.push(chunk));
    await until(() => watches.length > 0);
    return { stream, done, chunks, watch: watches.at(-1)!.watch };
  };

  it('show what came and went, decoded', async () => {
    await open(true);
    const ask = { peer: 'smf.example.org', heartbeats: true, max_messages: '2' };
    const { done, chunks, watch } = await start('Trace', ask);
    expect(watches.at(-1)!.asked).toEqual(['smf.example.org', true]);
    watch.lost = 4;
    watch.queue.push(request, answer, request);
    expect((await done).code).toBe(grpc.status.OK);
    expect(watch.closed).toBe(true);
    expect(chunks).toHaveLength(1);
    expect(chunks[0]).toMatchObject({ lost: '4' });
    expect(chunks[0]!.messages).toEqual([
      {
        time: { seconds: '1700000000', nanos: 250_000 },
        sent: false,
        local: '10.0.0.1:8805',
        remote: '10.0.0.2:40000',
        node_id: 'smf.example.org',
        message: 'Heartbeat Request',
        seid: '7',
        sequence: 5,
        elements: '{"Recovery Time Stamp":"2024-05-28T07:02:24Z"}',
        pfcp: request.bytes,
      },
      expect.objectContaining({ remote: '[fd00::2]:40000', faults: ['shorter than a header'] }),
    ]);
  });

  it('write pcapng that tshark reads', async () => {
    await open(true);
    const { done, chunks, watch, stream } = await start('Capture');
    watch.queue.push(request, { ...answer, bytes: request.bytes });
    await until(() => chunks.length === 1);
    stream.cancel();
    expect((await done).code).toBe(grpc.status.CANCELLED);
    await until(() => watch.closed);
    expect(chunks[0]).toMatchObject({ packets: '2', lost: '0' });
    const fields = ['ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst', 'udp.srcport', 'udp.dstport'];
    const more = ['pfcp.seqno', 'frame.time_epoch', 'udp.checksum.status', 'ip.checksum.status'];
    const folder = mkdtempSync(join(tmpdir(), 'sluice-n4-capture-'));
    const file = join(folder, 'n4.pcapng');
    writeFileSync(file, chunks[0]!.pcapng as Buffer);
    const lines = execFileSync(
      'tshark',
      [
        ...['-r', file, '-o', 'udp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'],
        ...['-T', 'fields'],
        ...[...fields, ...more].flatMap((field) => ['-e', field]),
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    rmSync(folder, { recursive: true });
    const time = '1700000000.000250000';
    expect(
      lines
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split('\t')),
    ).toEqual([
      ['10.0.0.2', '10.0.0.1', '', '', '40000', '8805', '5', time, '1', '1'],
      ['', '', '::1', 'fd00::2', '8805', '40000', '5', time, '1', ''],
    ]);
  });

  it('end when their time is over, and when the node stops', async () => {
    await open(true);
    const timed = await start('Trace', { max_time: { nanos: 1_000_000 } });
    expect((await timed.done).code).toBe(grpc.status.OK);
    expect(timed.watch.closed).toBe(true);
    watches = [];
    const { done, watch } = await start('Capture');
    const stopped = api.server.stop(1000);
    expect((await done).code).toBe(grpc.status.OK);
    await stopped;
    expect(watch.closed).toBe(true);
  });

  it('refuse what makes no sense', async () => {
    await open(true);
    const stream = client.watch('N4Service/Trace', { max_time: { seconds: '86401' } });
    stream.on('data', () => undefined);
    const error = await new Promise<grpc.ServiceError>((resolve) => stream.on('error', resolve));
    expect(violations(error)).toMatchObject([{ field: 'max_time' }]);
    expect(watches).toEqual([]);
  });
});
