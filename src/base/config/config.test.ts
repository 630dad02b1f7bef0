import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { ConfigError, effectiveConfig, loadConfig, parseConfig, parseListen } from './config.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function complaint(text: string): string {
  try {
    parseConfig(text, 'bad.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('the configuration was accepted');
}

const access = '{ name: n3, driver: socket, role: access, addresses: [127.0.0.1] }';
const core = '{ name: n6, driver: memory, role: core }';

/** File text → the whole message. */
const bad: readonly (readonly [string, string])[] = [
  [
    'apii: { listen: 127.0.0.1:1 }',
    'bad.yaml:1:1: apii: unknown key; did you mean api? allowed here: node, n4, api, http, store, workers, limits, gtpu, policy, crypto, ports',
  ],
  [
    'zebra: 1',
    'bad.yaml:1:1: zebra: unknown key; allowed here: node, n4, api, http, store, workers, limits, gtpu, policy, crypto, ports',
  ],
  [
    'store:\n  durabilty: sync',
    'bad.yaml:2:3: store.durabilty: unknown key; did you mean durability? allowed here: kind, path, durability',
  ],
  [
    'workers:\n  count: none',
    'bad.yaml:2:10: workers.count: must be a whole number from 1 to 64, not "none"',
  ],
  [
    'workers: { count: 0 }',
    'bad.yaml:1:19: workers.count: must be a whole number from 1 to 64, not 0',
  ],
  [
    'workers: { count: 1.5 }',
    'bad.yaml:1:19: workers.count: must be a whole number from 1 to 64, not 1.5',
  ],
  [
    'workers: { cores: [2, 3], count: 1 }',
    'bad.yaml:1:19: workers.cores: names 2 cores for workers.count 1; name one core per worker',
  ],
  [
    'workers: { cores: [2, 2], count: 2 }',
    'bad.yaml:1:19: workers.cores: names a core twice; a core runs one worker',
  ],
  [
    'workers: { cores: all }',
    'bad.yaml:1:19: workers.cores: must be auto or a list of core numbers such as [2, 3], not "all"',
  ],
  [
    'workers: { poll: fast }',
    'bad.yaml:1:18: workers.poll: must be one of auto, busy, adaptive, not "fast"',
  ],
  [
    'api: { listen: "50051" }',
    'bad.yaml:1:16: api.listen: must be host:port, [v6]:port or unix:/path, not "50051"',
  ],
  [
    'api: { listen: "127.0.0.1:65536" }',
    'bad.yaml:1:16: api.listen: must be host:port, [v6]:port or unix:/path, not "127.0.0.1:65536"',
  ],
  [
    'n4: { listen: ["localhost:8805"] }',
    'bad.yaml:1:16: n4.listen[0]: must be address:port or [v6]:port, not "localhost:8805"',
  ],
  [
    'n4: { listen: ["0.0.0.0:8805"] }',
    'bad.yaml:1:16: n4.listen[0]: 0.0.0.0:8805 is every address of the machine; name the one that peers know in n4.nodeId',
  ],
  [
    'n4: { listen: ["127.0.0.1:1", "127.0.0.1:1"], peers: [{}] }',
    'bad.yaml:1:31: n4.listen[1]: 127.0.0.1:1 is listed twice\n' +
      'bad.yaml:1:55: n4.peers[0]: needs nodeId, addresses or both',
  ],
  [
    'n4: { allow: [10.0.0.1/8], nodeId: "1.2.3" }',
    'bad.yaml:1:15: n4.allow[0]: must be an IP address, or a prefix such as 10.1.0.0/16 with no bits set behind its length, not "10.0.0.1/8"\n' +
      'bad.yaml:1:36: n4.nodeId: must be an IP address or a name of letters, digits and . _ -, not "1.2.3"',
  ],
  [
    'api: { listen: 127.0.0.1:9090 }',
    'bad.yaml:1:1: http.listen: is the same as api.listen: 127.0.0.1:9090',
  ],
  [
    'api: { tls: { cert: nothing.pem, key: nothing.key } }',
    `bad.yaml:1:21: api.tls.cert: cannot read ${path.resolve('nothing.pem')}: no such file\n` +
      `bad.yaml:1:39: api.tls.key: cannot read ${path.resolve('nothing.key')}: no such file`,
  ],
  [
    'api: { tls: { cert: nothing.pem } }',
    'bad.yaml:1:13: api.tls.key: is missing: it must be the path of a file',
  ],
  [
    'store: sync',
    'bad.yaml:1:8: store: must be a mapping with the keys kind, path, durability, not "sync"',
  ],
  [
    '- 1',
    'bad.yaml:1:1: must be a mapping with the keys node, n4, api, http, store, workers, limits, gtpu, policy, crypto, ports, not [1]',
  ],
  ['ports: []', 'bad.yaml:1:8: ports: must have at least one port, not []'],
  [
    `ports: [${Array.from({ length: 17 }, (_, i) => `{ name: p${i}, driver: memory, role: core }`)}]`,
    'bad.yaml:1:8: ports: must have at most 16 ports, not [{"name":"p0","driver":"memory","role":"core"},{"name":"p...',
  ],
  [
    `ports:\n  - ${access}\n  - ${access.replace('127.0.0.1', '127.0.0.2')}`,
    'bad.yaml:3:13: ports[1].name: is already the name of ports[0]',
  ],
  [
    'ports:\n  - { name: n3, driver: socket, role: access }',
    'bad.yaml:2:5: ports[0]: needs addresses: an access port has at least one IP address',
  ],
  [
    'ports:\n  - { name: n3, driver: socket }',
    'bad.yaml:2:5: ports[0].role: is missing: it must be one of access, core',
  ],
  [
    'ports:\n  - { name: n3, driver: socket, role: access, addresses: [127.0.0.1], sourcePorts: 3 }',
    'bad.yaml:2:84: ports[0].sourcePorts: must be a power of two from 1 to 16, not 3',
  ],
  [
    'ports:\n  - { name: n3, driver: socket, role: access, addresses: [0.0.0.0] }',
    'bad.yaml:2:59: ports[0].addresses[0]: must be an address that peers can send to, not 0.0.0.0',
  ],
  [
    'ports:\n  - { name: n3, driver: socket, role: access, addresses: [10.0.0.1], advertise: ["::1"] }',
    'bad.yaml:2:81: ports[0].advertise: must have one address of the same family for each of addresses, in their order',
  ],
  [
    'ports:\n  - { name: n6, driver: tun, role: core, uePools: [10.60.0.1/16] }',
    'bad.yaml:2:52: ports[0].uePools[0]: must be an IPv4 or IPv6 prefix such as 10.60.0.0/16, with no bits set behind its length, not "10.60.0.1/16"',
  ],
  [
    'ports:\n  - { name: n6, driver: tun, role: core, uePools: [10.60.0.0/16, 10.60.128.0/20] }',
    'bad.yaml:2:66: ports[0].uePools[1]: 10.60.128.0/20 overlaps 10.60.0.0/16 of ports[0] in the same network instance',
  ],
  [
    'ports:\n  - { name: n6, driver: tun, role: core, mtu: 2029 }\n  - { name: n3, driver: afxdp, device: eth1, role: access, addresses: [10.0.0.1], mtu: 1843 }',
    'bad.yaml:2:47: ports[0].mtu: must be at most 2028 with driver tun, not 2029\nbad.yaml:3:88: ports[1].mtu: must be at most 1842 with driver afxdp, not 1843',
  ],
  [
    'ports:\n  - { name: n6, driver: tun, role: core, device: name-that-is-too-long }',
    'bad.yaml:2:50: ports[0].device: must be 1 to 15 characters without space or /, not "name-that-is-too-long"',
  ],
  [
    'ports:\n  - { name: n6, driver: memory, role: core, masquerade: true }',
    'bad.yaml:2:57: ports[0].masquerade: applies to driver tun only, not to memory',
  ],
  [
    'ports:\n  - { name: n6, driver: tun, role: core, udpPort: 2152 }',
    'bad.yaml:2:51: ports[0].udpPort: applies to role access only, not to core',
  ],
  [
    'ports:\n  - { name: n6, driver: tun, role: access, addresses: [10.0.0.1] }',
    'bad.yaml:2:36: ports[0].role: must be core: driver tun carries plain IP',
  ],
  [
    'ports:\n  - { name: n3, driver: afxdp, role: access, addresses: [10.0.0.1] }',
    'bad.yaml:2:5: ports[0]: needs device: the interface that driver afxdp takes, such as eth1',
  ],
  [
    'ports:\n  - { name: n6, driver: afxdp, role: core, device: eth1, masquerade: true }',
    'bad.yaml:2:5: ports[0]: needs uePools: driver afxdp takes what goes to them, and leaves all else\n' +
      'bad.yaml:2:70: ports[0].masquerade: applies to driver tun only, not to afxdp',
  ],
  [
    'ports:\n  - { name: n3, driver: socket, role: access, addresses: [10.0.0.1], esp: true }',
    'bad.yaml:2:75: ports[0].esp: applies to driver afxdp only, not to socket',
  ],
  [
    'ports:\n  - { name: n6, driver: pcap, role: core }',
    'bad.yaml:2:5: ports[0]: needs file (to read), outputFile (to write) or both with driver pcap',
  ],
  [
    'node: { id: 1 }',
    'bad.yaml:1:13: node.id: must be 1 to 63 of letters, digits and . _ -, not 1',
  ],
  ['node: {}\nnode: {}', 'bad.yaml:2:1: Map keys must be unique'],
  [
    'limits: { sessions: 20000000 }',
    'bad.yaml:1:21: limits.sessions: must be a whole number from 1 to 16777216, not 20000000',
  ],
  [
    'workers: { count: x }\nlimits: { sessions: y }',
    'bad.yaml:1:19: workers.count: must be a whole number from 1 to 64, not "x"\n' +
      'bad.yaml:2:21: limits.sessions: must be a whole number from 1 to 16777216, not "y"',
  ],
];

const n4Defaults = {
  listen: ['127.0.0.1:8805'],
  transport: 'native',
  allow: [],
  t1Ms: 1000,
  n1: 4,
  heartbeatSeconds: 20,
  replyCacheBytes: 67_108_864,
  retainSessions: true,
  releaseSeconds: 0,
  slowMs: 500,
  peers: [],
  protections: [],
};

describe('a bad configuration', () => {
  it.each(bad)('%s', (text, message) => {
    expect(complaint(text)).toBe(message);
  });

  it('is named by the file as it was given', () => {
    const file = path.join(folder, 'sluice.yaml');
    writeFileSync(file, '\n\nhttp: { listn: "127.0.0.1:1" }\n');
    expect(() => loadConfig(file)).toThrow(
      `${file}:3:9: http.listn: unknown key; did you mean listen?`,
    );
    expect(() => loadConfig(path.join(folder, 'absent.yaml'))).toThrow(
      'cannot be read: no such file',
    );
    expect(() => loadConfig(folder)).toThrow('cannot be read: is a folder, not a file');
  });

  it('keeps syntax errors to their line', () => {
    expect(complaint('api: { listen: 127.0.0.1:1\nhttp: x')).toMatch(/^bad\.yaml:2:\d+: /);
  });

  it('does not follow aliases that multiply', () => {
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x, x, x]',
      'b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]',
      'c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]',
      'd: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]',
    ].join('\n');
    expect(complaint(bomb)).toBe(
      'bad.yaml: Excessive alias count indicates a resource exhaustion attack',
    );
  });

  it('names the command line when the value came from there', () => {
    expect(() => parseConfig('', 'defaults', { api: { listen: 'nowhere' } })).toThrow(
      'command line: api.listen: must be host:port, [v6]:port or unix:/path, not "nowhere"',
    );
  });
});

const DEFAULT_CRYPTO = {
  nodeKey: '',
  alarmPacketsPerSecond: 100,
  mode: 'inline',
  lanesMin: 1,
  lanesMax: 0,
} as const;
const DEFAULT_POLICY = {
  multicast: 'drop',
  martians: 'drop',
  ownAddresses: 'drop',
  nestedGtpu: 'drop',
  hairpin: true,
  icmpErrorsPerSecond: 1000,
};

describe('a good configuration', () => {
  it('has a default for every key', () => {
    const config = parseConfig('', path.join(folder, 'sluice.yaml'));
    expect(parse(effectiveConfig(config))).toEqual({
      node: { id: 'upf-1' },
      n4: n4Defaults,
      api: { listen: '127.0.0.1:50051' },
      http: { listen: '127.0.0.1:9090' },
      store: { kind: 'embedded', path: path.join(folder, 'data'), durability: 'async' },
      workers: { count: 1, cores: 'auto', hugepages: 'auto', poll: 'auto', balance: 'on' },
      limits: {
        sessions: 1_000_000,
        rulesPerSession: 64,
        heldPackets: 65_536,
        heldSeconds: 60,
        reassembly: { datagrams: 64, fragments: 16, timeoutMs: 1000 },
      },
      gtpu: {
        echoIntervalSeconds: 60,
        echoTimeoutSeconds: 3,
        echoTries: 3,
        errorIndicationsPerSecond: 100,
        errorIndicationsQuietSeconds: 11,
      },
      policy: DEFAULT_POLICY,
      crypto: DEFAULT_CRYPTO,
      ports: [
        {
          name: 'n3',
          driver: 'socket',
          role: 'access',
          addresses: ['127.0.0.1'],
          advertise: [],
          networkInstances: ['*'],
          udpPort: 2152,
          sourcePorts: 4,
          espInUdp: false,
          mtu: 0,
          clampMss: false,
        },
        {
          name: 'n6',
          driver: 'tun',
          role: 'core',
          addresses: [],
          networkInstances: ['internet'],
          device: 'sluice0',
          mtu: 1500,
          clampMss: false,
          decrementTtl: false,
          icmpSource: [],
          uePools: ['10.60.0.0/16', 'fd00:60::/40'],
          masquerade: false,
        },
      ],
    });
  });

  it('prints so that it loads to the same again', () => {
    const config = parseConfig(
      stringify({
        api: { listen: 'unix:run/sluice.sock' },
        workers: { count: 2, cores: [4, 5], hugepages: 'off' },
        ports: [
          parse(access),
          { name: 'out', driver: 'pcap', role: 'core', outputFile: 'out.pcap' },
        ],
      }),
      path.join(folder, 'sluice.yaml'),
    );
    expect(config.api.listen).toBe(`unix:${folder}/run/sluice.sock`);
    expect(config.ports[1]?.outputFile).toBe(path.join(folder, 'out.pcap'));
    expect(parseConfig(effectiveConfig(config), 'elsewhere.yaml')).toEqual(config);
  });

  it('takes an empty section as its defaults', () => {
    expect(parseConfig('api:\nworkers:\n  count: 2\n', 'x.yaml')).toMatchObject({
      api: { listen: '127.0.0.1:50051' },
      workers: { count: 2 },
    });
  });

  it('lets the command line win, section by section', () => {
    const config = parseConfig('api: { listen: 127.0.0.1:1 }\nnode: { id: a }', 'x.yaml', {
      api: { listen: 'localhost:0' },
    });
    expect(config.api.listen).toBe('localhost:0');
    expect(config.node.id).toBe('a');
  });

  it('lets pools of different instances overlap', () => {
    const pool = 'driver: memory, role: core, uePools: [10.0.0.0/8]';
    const config = parseConfig(
      `ports:\n  - { name: a, ${pool}, networkInstances: [x] }\n  - { name: b, ${pool}, networkInstances: [y] }`,
      'x.yaml',
    );
    expect(config.ports).toHaveLength(2);
    expect(
      complaint(
        `ports:\n  - { name: a, ${pool} }\n  - { name: b, ${pool}, networkInstances: [y] }`,
      ),
    ).toContain('overlaps 10.0.0.0/8 of ports[0]');
  });

  it('serves an access and a core port of any driver that fits', () => {
    expect(
      parseConfig(`ports: [${access}, ${core}]`, 'x.yaml').ports.map((port) => port.driver),
    ).toEqual(['socket', 'memory']);
  });
});

describe('a listen address', () => {
  it.each([
    ['[::1]:50051', { kind: 'tcp', host: '::1', port: 50051 }],
    ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
    ['unix:/run/sluice.sock', { kind: 'unix', path: '/run/sluice.sock' }],
    ['unix:///run/sluice.sock', { kind: 'unix', path: '/run/sluice.sock' }],
    ['::1:50051', undefined],
    ['[127.0.0.1]:1', undefined],
    ['300.1.1.1:1', undefined],
    ['unix:', undefined],
    [`unix:/${'x'.repeat(120)}`, undefined],
    ['host:', undefined],
  ])('%s', (text, expected) => {
    expect(parseListen(text)).toEqual(expected);
  });
});
