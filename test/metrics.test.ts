/**
 * docs/METRICS.md and the Grafana dashboard against a scrape of a node that has everything:
 * ports, workers, drops, sessions, calls of the API.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GenericClient, until } from '../src/api/api.fixture.js';
import { parseConfig } from '../src/base/config/config.js';
import { listenText } from '../src/base/config/listen.js';
import { silentLog } from '../src/base/log.js';
import type { DatapathStatus } from '../src/datapath/datapath.js';
import { IDLE_WORKER } from '../src/datapath/idle-statistics.js';
import { MemoryDatapath } from '../src/datapath/memory-datapath.js';
import type { Statistics } from '../src/datapath/statistics.js';
import { sampleSession } from '../src/model/sample.fixture.js';
import { FakeSmf } from '../src/n4/endpoint.fixture.js';
import { openDgramTransport } from '../src/n4/transport/dgram-transport.js';
import { UpfNode } from '../src/upf-node.js';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
/** Of histograms: what stands behind the name in samples. */
const PARTS = /_(bucket|sum|count)$/;

interface Metric {
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

class BusyDatapath extends MemoryDatapath {
  override status(): DatapathStatus {
    const path = { udpPort: 2152, port: 'n3', roundTripUs: 90, transitions: 1 };
    return {
      ...super.status(),
      regionBytesUsed: 1,
      peers: [{ ...path, address: '192.0.2.2', state: 'up' }],
      peersTotal: 1,
    };
  }
  override statistics(): Statistics {
    return {
      ...super.statistics(),
      ports: [
        {
          name: 'n3',
          rxPackets: 7,
          rxBytes: 7,
          txPackets: 7,
          txBytes: 7,
          txFull: 1,
          rxMissed: 2,
          rxNoBuffer: 3,
          rxIgnored: 4,
        },
      ],
      workers: [{ ...IDLE_WORKER, cyclesPerPacket: 70, longestStallNs: 2, busy: 0.5 }],
      dropped: { no_pdr: 3 },
      created: 2,
      held: 4,
      cryptoLanes: {
        ...super.statistics().cryptoLanes,
        lanes: [{ id: 0, packets: 1, bursts: 1, depth: 1, thread: 0 }],
        threads: [{ busyNs: 1, waits: 1 }],
      },
    };
  }
}

/** Metrics by name: what the exposition says of each. */
function parse(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>();
  const helps = new Map<string, string>();
  const labels = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const [, help, of] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    if (help !== undefined) helps.set(help, of ?? '');
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) metrics.set(name, { type: type!, help: helps.get(name)!, labels: [] });
    const [, sample, inner] = /^([a-z_]\w*)\{(.*)\} \S+$/.exec(line) ?? [];
    if (sample === undefined) continue;
    const of_ = metrics.has(sample) ? sample : sample.replace(PARTS, '');
    const set = labels.get(of_) ?? new Set<string>();
    for (const [, label] of (inner ?? '').matchAll(/(\w+)="/g)) if (label !== 'le') set.add(label!);
    labels.set(of_, set);
  }
  for (const [name, set] of labels) {
    const metric = metrics.get(name);
    if (metric !== undefined) metrics.set(name, { ...metric, labels: [...set] });
  }
  return metrics;
}

/** One that has been answered. */
async function associatedSmf(node: UpfNode): Promise<FakeSmf> {
  const transport = await openDgramTransport([{ kind: 'tcp', host: '127.0.0.1', port: 0 }]);
  const upf = node.n4Addresses[0]!;
  if (upf.kind !== 'tcp') throw new Error('N4 is UDP');
  const smf = new FakeSmf(transport, '127.0.0.1', upf);
  smf.setUp();
  await until(() => smf.received.length > 0);
  return smf;
}

let folder: string;
let scraped: Map<string, Metric>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-metrics-'));
  const yaml = `n4: { listen: [127.0.0.1:0], transport: dgram }
api: { listen: unix:api.sock }
http: { listen: 127.0.0.1:0 }
limits: { sessions: 1000 }
ports:
  - { name: n3, driver: memory, role: access, addresses: [192.0.2.1] }
  - { name: n6, driver: memory, role: core, networkInstances: [internet], uePools: [10.60.0.0/16] }
`;
  const node = await UpfNode.start(parseConfig(yaml, join(folder, 'sluice.yaml')), {
    log: silentLog(),
    createDatapath: () => new BusyDatapath(),
    selfTest: () => ({ tier: 'portable', results: [] }),
    pathTier: () => 'portable',
    tunObstacle: () => undefined,
  });
  const client = new GenericClient(listenText(node.apiAddress!));
  await client.call('SessionService/CreateSession', { session: sampleSession('one') });
  const { transport } = await associatedSmf(node);
  // A histogram has labels from its first value on; the collector's, from a collection on.
  global.gc?.();
  const page = await fetch(`http://${listenText(node.httpAddress!)}/metrics`);
  scraped = parse(await page.text());
  client.close();
  await transport.close();
  await node.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Rows of the tables: name, type, labels, unit, meaning. */
function documented(): Map<string, Metric & { readonly unit: string }> {
  const rows = read('docs/METRICS.md').matchAll(
    /^\| `([a-z0-9_]+)` \| (\w+) \| ([^|]*) \| ([^|]*) \| (.*) \|$/gm,
  );
  return new Map(
    [...rows].map(([, name, type, labels, unit, help]) => [
      name!,
      {
        type: type!,
        labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!),
        unit: unit!.trim(),
        help: help!,
      },
    ]),
  );
}

describe('docs/METRICS.md', () => {
  it('lists every metric of a scrape, and no other', () => {
    expect(scraped.size).toBeGreaterThan(40);
    expect([...documented().keys()].sort()).toEqual([...scraped.keys()].sort());
  });

  it('says of each its type, its labels and its meaning as the node does', () => {
    for (const [name, { type, labels, help }] of documented()) {
      const metric = scraped.get(name)!;
      expect({ name, type, help }).toEqual({ name, type: metric.type, help: metric.help });
      // Those of Node appear with what they count.
      const known = name.startsWith('sluice_') ? [...labels].sort() : labels;
      const seen = [...metric.labels].sort();
      if (name.startsWith('sluice_'))
        expect({ name, labels: known }).toEqual({ name, labels: seen });
      else for (const label of seen) expect(labels, name).toContain(label);
    }
  });

  it('gives each a unit, that of its name where the name has one', () => {
    for (const [name, { unit }] of documented()) {
      expect(unit, name).not.toBe('');
      const stem = name.replace(/_total$/, '');
      if (stem.endsWith('_seconds')) expect({ name, unit }).toEqual({ name, unit: 'seconds' });
      if (stem.endsWith('_bytes')) expect({ name, unit }).toEqual({ name, unit: 'bytes' });
      if (stem.endsWith('_ratio')) expect({ name, unit }).toEqual({ name, unit: '0 to 1' });
      if (stem.endsWith('_packets')) expect({ name, unit }).toEqual({ name, unit: 'packets' });
    }
  });
});

interface Panel {
  readonly id?: number;
  readonly title?: string;
  readonly type?: string;
  readonly targets?: readonly { readonly expr?: string; readonly refId?: string }[];
  readonly gridPos?: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly datasource?: unknown;
}

describe('the Grafana dashboard', () => {
  const text = read('deploy/grafana/sluice.json');
  const dashboard = JSON.parse(text) as {
    readonly title: string;
    readonly uid: string;
    readonly schemaVersion: number;
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly name: string; query?: unknown }[] };
  };
  /** Functions, keywords and label names of PromQL, and what Grafana puts in. */
  const WORDS = new Set(
    (
      'sum by rate max min avg topk increase histogram_quantile on without or and le ' +
      'instance job node port worker reason method code quantile kind operation clamp_min ' +
      'peer message cause class'
    ).split(' '),
  );
  const namesIn = (expression: string): string[] => {
    const bare = expression
      .replaceAll(/"[^"]*"/g, '')
      .replaceAll(/\[[^\]]*\]/g, '')
      .replaceAll(/\$\w+/g, '');
    return [...bare.matchAll(/[a-z_][a-z0-9_]*/g)]
      .map(([word]) => word)
      .filter((word) => !WORDS.has(word));
  };

  it('is a dashboard that Grafana takes: identity, panels with places and queries', () => {
    expect(dashboard.title).toBe('Sluice UPF');
    expect(dashboard.uid).toMatch(/^[a-z0-9-]{1,40}$/);
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const panel of dashboard.panels) {
      expect(panel.title, text).toBeTruthy();
      const { x, w, h } = panel.gridPos!;
      expect(x + w).toBeLessThanOrEqual(24);
      expect(h).toBeGreaterThan(0);
      if (panel.type === 'row') continue;
      expect(panel.datasource).toEqual({
        type: 'prometheus',
        uid: expect.stringMatching(/^\$\{datasource\}$/),
      });
      expect(panel.targets!.length, panel.title).toBeGreaterThan(0);
    }
  });

  it('names only metrics that exist', () => {
    const expressions = dashboard.panels.flatMap(({ targets = [] }) =>
      targets.map(({ expr }) => expr!),
    );
    const variables = dashboard.templating.list.map(({ query }) =>
      typeof query === 'string' ? query.replace(/^label_values\((\w+), *\w+\)$/, '$1') : '',
    );
    const names = [...expressions, ...variables.filter((query) => query !== 'prometheus')].flatMap(
      namesIn,
    );
    expect(new Set(names).size).toBeGreaterThan(20);
    const known = (name: string) => scraped.has(name) || scraped.has(name.replace(PARTS, ''));
    expect(names.filter((name) => !known(name))).toEqual([]);
  });

  it('shows every metric of its own kind that counts packets or sessions', () => {
    const wanted = [...scraped.keys()].filter((name) =>
      /^sluice_(port|packets|sessions|worker)/.test(name),
    );
    expect(wanted.filter((name) => !text.includes(name))).toEqual([]);
  });
});
