import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GenericClient, until } from './api/api.fixture.js';
import { parseConfig } from './base/config/config.js';
import { type ListenAddress, listenText } from './base/config/listen.js';
import { silentLog } from './base/log.js';
import type { DatapathConfig } from './datapath/datapath.js';
import { MemoryDatapath } from './datapath/memory-datapath.js';
import { hasNetAdmin } from './datapath/tun-access.js';
import { sampleSession } from './model/sample.fixture.js';
import { type NodeParts, UpfNode } from './upf-node.js';

let folder: string;
let nodes: UpfNode[];
let configured: DatapathConfig[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sluice-node-'));
  nodes = [];
  configured = [];
});
afterEach(async () => {
  for (const node of nodes) await node.stop();
  rmSync(folder, { recursive: true });
});

const ports = `
ports:
  - { name: n3, driver: memory, role: access, addresses: [192.0.2.1] }
  - { name: n6, driver: tun, role: core, networkInstances: [internet], uePools: [10.60.0.0/16] }
`;
const n4 = '\nn4: { listen: [127.0.0.1:0], transport: dgram }';
const base = `api: { listen: unix:api.sock }\nhttp: { listen: 127.0.0.1:0 }\nlimits: { sessions: 1000 }`;

async function start(text = '', parts: Partial<NodeParts> = {}): Promise<UpfNode> {
  const config = parseConfig(
    `${text === '' ? base : text}${n4}${ports}`,
    path.join(folder, 'x.yaml'),
  );
  const node = await UpfNode.start(config, {
    log: silentLog(),
    createDatapath: (datapathConfig) => {
      configured.push(datapathConfig);
      return new MemoryDatapath();
    },
    selfTest: () => ({ tier: 'portable', results: [] }),
    pathTier: () => 'portable',
    tunObstacle: () => undefined,
    ...parts,
  });
  nodes.push(node);
  return node;
}

function textOf(address: ListenAddress | undefined): string {
  if (address === undefined) throw new Error('not open');
  return listenText(address);
}

async function page(node: UpfNode, name: string): Promise<{ code: number; body: string }> {
  const response = await fetch(`http://${textOf(node.httpAddress)}${name}`);
  return { code: response.status, body: await response.text() };
}

describe('a node', () => {
  it('serves the API and the pages, and keeps its sessions over a restart', async () => {
    const node = await start();
    expect(node.readyLine()).toMatch(
      /^ready api=unix:.*api\.sock http=127\.0\.0\.1:\d+ n4=127\.0\.0\.1:\d+ ports= workers=0 sessions=0$/,
    );
    const client = new GenericClient(textOf(node.apiAddress));
    const session = sampleSession('kept');
    const made = await client.call('SessionService/CreateSession', { session });
    expect(await page(node, '/readyz')).toEqual({ code: 200, body: 'ready\n' });
    const { body } = await page(node, '/metrics');
    expect(body).toContain('sluice_sessions 1\n');
    expect(body).toMatch(/sluice_store_commit_duration_seconds_count [1-9]/);
    client.close();
    await node.stop();
    const again = await start();
    expect(again.readyLine()).toMatch(/sessions=1$/);
    const second = new GenericClient(textOf(again.apiAddress));
    expect(await second.call('SessionService/GetSession', { name: 'kept' })).toEqual(made);
    second.close();
  });

  it('does not start when an algorithm gives a wrong answer', async () => {
    const results = [{ algorithm: 'SM3', mode: 'lanes', by: 'avx2', holds: false }] as const;
    await expect(start('', { selfTest: () => ({ tier: 'avx2', results }) })).rejects.toThrow(
      'the self test of cryptography failed: SM3 (lanes, avx2)',
    );
    expect(configured).toEqual([]);
  });

  it('refuses a second process on its folder, and releases what it had opened', async () => {
    await start();
    await expect(start(base.replace('api.sock', 'other.sock'))).rejects.toThrow(/in use|locked/);
  });

  it('names the key of an address in use, and leaves nothing open', async () => {
    const node = await start();
    const taken = textOf(node.httpAddress);
    const text = `http: { listen: "${taken}" }\napi: { listen: unix:b.sock }\nstore: { path: other }`;
    await expect(start(text)).rejects.toThrow(`http.listen: ${taken} is already in use`);
    await (await start(text.replace(taken, '127.0.0.1:0'))).stop();
  });

  it('closes everything when the packet path does not start', async () => {
    class Broken extends MemoryDatapath {
      override start(): void {
        throw new Error('no such device');
      }
    }
    await expect(start('', { createDatapath: () => new Broken() })).rejects.toThrow(
      'no such device',
    );
    await start();
  });
});

describe('N6 without the right to make devices', () => {
  it('is a memory port, and the status says how to mend it', async () => {
    const node = await start('', { tunObstacle: () => 'because; do this' });
    expect(configured[0]?.ports.map((port) => port.driver)).toEqual(['memory', 'memory']);
    const client = new GenericClient(textOf(node.apiAddress));
    expect((await client.call('NodeService/GetNode')).warnings).toEqual([
      'port n6 is a memory port and carries no traffic: because; do this',
    ]);
    client.close();
  });

  it('is seen in the capabilities of the process', () => {
    expect(hasNetAdmin('Name:\tx\nCapEff:\t0000000000001000\n')).toBe(true);
    expect(hasNetAdmin('CapEff:\t000001ffffffffff\n')).toBe(true);
    expect(hasNetAdmin('CapEff:\t0000000000000fff\n')).toBe(false);
    expect(hasNetAdmin('')).toBe(false);
  });

  it('is a tun port otherwise', async () => {
    await start();
    expect(configured[0]?.ports[1]).toMatchObject({ driver: 'tun', device: 'sluice0' });
  });
});

describe('a shutdown', () => {
  it('answers what is under way, and refuses readiness meanwhile', async () => {
    const datapath = new MemoryDatapath();
    const node = await start('', { createDatapath: () => datapath });
    const client = new GenericClient(textOf(node.apiAddress));
    datapath.autoComplete = false;
    const session = sampleSession('late');
    const answer = client.call('SessionService/CreateSession', { session });
    await until(() => datapath.keysHeld > 0);
    const url = `http://${textOf(node.httpAddress)}/healthz`;
    const stopped = node.stop();
    expect(await page(node, '/readyz')).toEqual({ code: 503, body: 'not ready: shutting down\n' });
    datapath.autoComplete = true;
    datapath.completeAll();
    expect(await answer).toMatchObject({ name: 'late' });
    await stopped;
    client.close();
    expect(await fetch(url).catch(() => 'gone')).toBe('gone');
  });
});

it('has the version of its package', async () => {
  const node = await start();
  const client = new GenericClient(textOf(node.apiAddress));
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect((await client.call('NodeService/GetNode')).version).toBe(version);
  client.close();
});
