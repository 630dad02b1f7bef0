/**
 * Two UPFs with a protected N9 between them: UE → gNB → N3 → intermediate UPF → N9 under SM4 → anchor
 * UPF → N6. What passes on N9 is captured and looked at by tshark, which has no key.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Protection, Session } from '../../src/cli/api/messages.js';
import { addresses, Lab, type LabProcess } from './lab.js';
import { anchorSession, intermediateSession, N3 } from './protected-n9.js';
import { answersOf, pingFor, Upf } from './upf.js';

const UE = `ue-${process.pid}`;
/** Sequence numbers are given out by blocks of so many. */
const BLOCK = 2 ** 24;

/** What `protection pair` writes: keys are texts. */
interface PairFile {
  readonly outbound: { spi: number; key: string; salt: string }[];
  readonly inbound: { spi: number; key: string; salt: string }[];
}

export interface ProtectedN9 {
  readonly lab: Lab;
  readonly intermediate: Upf;
  readonly anchor: Upf;
  readonly droppedOf: (upf: Upf, reason: string) => Promise<number>;
}

/**
 * What holds wherever SM4 is done.
 * @param more  further tests, while both are there
 * @param env  of the UPFs
 */
export function protectedN9(
  crypto: 'inline' | 'lanes',
  more: (parts: () => ProtectedN9) => void = () => undefined,
  env: Readonly<Record<string, string>> = {},
): void {
  let lab: Lab;
  let intermediate: Upf;
  let anchor: Upf;
  let capture: LabProcess;
  let captureFile: string;
  /** Name of the pair whose keys are in use. */
  let inUse = 'n9';

  beforeAll(async () => {
    lab = await Lab.open();
    captureFile = join(lab.folder, 'n9.pcapng');
    anchor = new Upf(lab, { name: 'anchor', espInUdp: true, crypto });
    intermediate = new Upf(lab, {
      name: 'intermediate',
      crypto,
      place: 'ran',
      ports: [
        { name: 'n3', driver: 'socket', role: 'access', addresses: [N3], networkInstances: ['n3'] },
        {
          ...{ name: 'n9', driver: 'socket', role: 'access', addresses: [addresses.gnb] },
          ...{ networkInstances: ['n9'], espInUdp: true },
        },
      ],
    });
    await anchor.start(env);
    await intermediate.start(env);
    await makePair('n9');
    await intermediate.sluice(['protection', 'create', '-f', join(lab.folder, 'n9-1.yaml')]);
    await anchor.sluice(['protection', 'create', '-f', join(lab.folder, 'n9-2.yaml')]);
    await createSession(intermediate, intermediateSession(UE));
    await createSession(anchor, anchorSession(UE));
    const filter = ['-q', '-B', '64', '-a', 'filesize:24000', '-f', 'ip or ip6'];
    capture = lab.start('upf', ['dumpcap', '-i', 'n3', ...filter, '-w', captureFile]);
  });
  afterEach(() => intermediate.endGnbs());
  afterAll(async () => {
    intermediate?.client.close();
    anchor?.client.close();
    await lab?.close();
  });

  function createSession(upf: Upf, session: object): Promise<Session> {
    return upf.client.call<Session>('SessionService', 'CreateSession', { session });
  }

  async function protectionOf(upf: Upf): Promise<Protection> {
    return upf.client.call<Protection>('ProtectionService', 'GetProtection', { id: 1 });
  }

  async function droppedOf(upf: Upf, reason: string): Promise<number> {
    return Number((await upf.stats()).dropped?.[reason] ?? 0);
  }

  /** What both ends dropped for reasons of protections. */
  async function losses(): Promise<[string, number][]> {
    const all = await Promise.all(
      [intermediate, anchor].map(async (upf) => Object.entries((await upf.stats()).dropped ?? {})),
    );
    return all
      .flat()
      .filter(([reason]) => /^esp_|^crypto_|^lane_|protect/.test(reason))
      .map(([reason, count]) => [reason, Number(count)]);
  }

  function readPair(end: 1 | 2, name = 'n9'): PairFile {
    return parse(readFileSync(join(lab.folder, `${name}-${end}.yaml`), 'utf8')) as PairFile;
  }

  function makePair(name: string): Promise<unknown> {
    const pair = ['protection', 'pair', '--id', '1', '--udp', '-o', join(lab.folder, name)];
    return anchor.sluice([...pair, '--addresses', `${addresses.gnb},${addresses.upfN3}`]);
  }

  /** Puts keys of a new pair beside the old ones, and has them used. @returns what takes the old ones away */
  async function changeKeys(name: string): Promise<() => Promise<void>> {
    const { outbound: there, inbound: back } = readPair(1, name);
    const [first, second] = [readPair(1, inUse), readPair(2, inUse)];
    const set = async (upf: Upf, end: 1 | 2, lists: Pick<PairFile, 'outbound' | 'inbound'>) => {
      const request = { protection: asked(end, lists) };
      await upf.client.call('ProtectionService', 'UpdateProtection', request);
    };
    const [atFirst, atSecond] = [
      [...first.inbound, ...back],
      [...second.inbound, ...there],
    ];
    await set(intermediate, 1, { inbound: atFirst, outbound: first.outbound });
    await set(anchor, 2, { inbound: atSecond, outbound: second.outbound });
    await set(intermediate, 1, { inbound: atFirst, outbound: there });
    await set(anchor, 2, { inbound: atSecond, outbound: back });
    inUse = name;
    return async () => {
      await set(intermediate, 1, { inbound: back, outbound: there });
      await set(anchor, 2, { inbound: there, outbound: back });
    };
  }

  async function seesFreshKeysInUse(): Promise<void> {
    const { outbound = [], inbound = [] } = await protectionOf(intermediate);
    expect(outbound.map(({ spi }) => spi)).toEqual(
      readPair(1, inUse).outbound.map(({ spi }) => spi),
    );
    expect(Number(outbound[0]?.packets)).toBeGreaterThan(0);
    expect(Number(inbound[0]?.packets)).toBeGreaterThan(0);
  }

  /** The file's protection with keys as octets, for the API itself. */
  function asked(end: 1 | 2, lists: Pick<PairFile, 'outbound' | 'inbound'>): object {
    const octets = (list: PairFile['outbound']) =>
      list.map(({ spi, key, salt }) => ({
        spi,
        key: Buffer.from(key, 'hex'),
        salt: Buffer.from(salt, 'hex'),
      }));
    const suite = 'PROTECTION_SUITE_SM4_GCM_16';
    const { outbound, inbound } = lists;
    return { ...readPair(end), suite, outbound: octets(outbound), inbound: octets(inbound) };
  }

  describe(`N9 under a protection, SM4 ${crypto}`, () => {
    it('carries pings, of which N9 shows nothing but ESP', async () => {
      await intermediate.gnb(UE);
      const ping = await lab.run(`ue:${UE}`, pingFor(5, addresses.server), false);
      expect(
        answersOf(ping),
        ping.stderr + (await intermediate.sluice(['stats'])).stdout,
      ).toBeGreaterThanOrEqual(5);
      const sealed = await protectionOf(intermediate);
      expect(Number(sealed.outbound?.[0]?.packets)).toBeGreaterThanOrEqual(5);
      expect(Number(sealed.inbound?.[0]?.packets)).toBeGreaterThanOrEqual(5);
      expect(sealed.references).toBe(2);
      await capture.end('SIGINT');
      const seen = async (filter: string) => {
        const tshark = ['tshark', '-r', captureFile, '-Y', filter];
        return (await lab.run('upf', tshark)).stdout.split('\n').filter((line) => line !== '')
          .length;
      };
      expect(await seen('udp.port == 4500 && esp')).toBeGreaterThanOrEqual(10);
      expect(await seen('gtp || icmp.type == 8 || icmp.type == 0')).toBe(0);
    });

    it('carries TCP at full size both ways', async () => {
      const gnb = lab.start('ran', [
        ...[join(import.meta.dirname, '../../bin/sluice'), 'gnb', 'up', '--api', intermediate.api],
        ...['--mtu', '1400', '--session', UE],
      ]);
      await gnb.printed(/^ready/m);
      for (const direction of [[], ['-R']]) {
        const server = lab.start('dn', ['iperf3', '-s', '-1', '-p', '5201', '--forceflush']);
        await server.printed(/listening/i);
        const command = ['iperf3', '-c', addresses.server, '-p', '5201', '-J', '-t', '2'];
        const client = await lab.run(`ue:${UE}`, [...command, ...direction]);
        await server.end();
        const { end } = JSON.parse(client.stdout) as { end: { sum_received: { bytes: number } } };
        expect(end.sum_received.bytes).toBeGreaterThan(1e6);
      }
      await gnb.end();
      for (const upf of [intermediate, anchor]) {
        for (const reason of ['esp_not_genuine', 'esp_replayed', 'esp_malformed', 'unprotected']) {
          expect([reason, await droppedOf(upf, reason)]).toEqual([reason, 0]);
        }
      }
    });

    it('changes its keys while packets pass, and loses none', async () => {
      await makePair('fresh');
      await intermediate.gnb(UE);
      const ping = lab.run(
        `ue:${UE}`,
        ['ping', '-c', '400', '-i', '0.005', addresses.server],
        false,
      );
      const finish = await changeKeys('fresh');
      const result = await ping;
      await finish();
      expect(answersOf(result), result.stdout).toBe(400);
      await seesFreshKeysInUse();
    });

    it('changes its keys under a load, of which none is lost by them', async () => {
      await makePair('under-load');
      const sealed = async () => Number((await protectionOf(intermediate)).outbound?.[0]?.packets);
      const before = await losses();
      const start = await sealed();
      const flags = ['--pps', '10k', '--size', '200', '--time', '4s', '--to', addresses.server];
      const load = intermediate.sluice(['gnb', 'load', '--session', UE, ...flags]);
      await expect.poll(sealed, { timeout: 10_000 }).toBeGreaterThan(start + 1000);
      const finish = await changeKeys('under-load');
      const changed = await sealed();
      await expect.poll(sealed, { timeout: 10_000 }).toBeGreaterThan(changed + 1000);
      await load;
      await finish();
      expect(await losses()).toEqual(before);
    });

    it('takes no packet that comes by itself', async () => {
      const before = await droppedOf(anchor, 'unprotected');
      const inner = `45000020000040004001${'0000'}0a3c0005c6336402${'0800f7ff00000000'}00000000`;
      const message = `34ff${'0028'}00c0ffee00000085${'01100900'}${inner}`;
      const script = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(bytes.fromhex('${message}'), ('${addresses.upfN3}', 2152))`;
      await lab.run('ran', ['/usr/bin/python3', '-c', script]);
      const deadline = Date.now() + 5000;
      while ((await droppedOf(anchor, 'unprotected')) === before && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(await droppedOf(anchor, 'unprotected')).toBe(before + 1);
    });

    it('names what comes to its port 4500 and is of nobody', async () => {
      const reasons = ['esp_unknown_spi', 'nat_keepalive'];
      const dropped = () => Promise.all(reasons.map((reason) => droppedOf(anchor, reason)));
      const [unknown, keepalives] = await dropped();
      const script = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for octets in (bytes(64 * [7]), b'\\xff'):
    s.sendto(octets, ('${addresses.upfN3}', 4500))`;
      await lab.run('ran', ['/usr/bin/python3', '-c', script]);
      await expect.poll(dropped, { timeout: 5000 }).toEqual([unknown! + 1, keepalives! + 1]);
    });

    more(() => ({ lab, intermediate, anchor, droppedOf }));

    it('goes on after kill -9 with numbers that were never used', async () => {
      const used = Number((await protectionOf(intermediate)).outbound?.[0]?.sequence_number);
      await intermediate.stop('SIGKILL');
      await intermediate.start();
      const restored = await protectionOf(intermediate);
      expect(Number(restored.outbound?.[0]?.sequence_number)).toBeGreaterThanOrEqual(BLOCK);
      expect(used).toBeLessThan(BLOCK);
      await intermediate.gnb(UE);
      const ping = await lab.run(`ue:${UE}`, pingFor(5, addresses.server), false);
      expect(answersOf(ping)).toBeGreaterThanOrEqual(5);
      await intermediate.endGnbs();
      await intermediate.stop('SIGTERM');
      await intermediate.start();
      const again = Number((await protectionOf(intermediate)).outbound?.[0]?.sequence_number);
      expect(again, 'an orderly end loses no numbers').toBeLessThan(BLOCK + 1000);
    });

    it('keeps keys where nobody reads them', async () => {
      const data = join(lab.folder, 'intermediate-data');
      expect(statSync(join(data, 'node.key')).mode & 0o777).toBe(0o600);
      const keys = readPair(1).outbound.map(({ key }) => Buffer.from(key, 'hex'));
      for (const name of readdirSync(data)) {
        const bytes = readFileSync(join(data, name));
        for (const key of keys) expect(bytes.includes(key), name).toBe(false);
      }
      const shown = (await intermediate.sluice(['protection', 'get', '1', '--json'])).stdout;
      for (const key of keys) expect(shown).not.toContain(key.toString('hex'));
      const refused = await intermediate.sluice(['protection', 'delete', '1'], 'ran', false);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('2 FARs and PDRs refer to it');
    });
  });
}
