/** `sluice replay` as a user calls it: captures in, account and capture written.out. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasAddon } from '../base/addon.js';
import type { ReplayResult } from '../tools/replay/replay.js';
import { catchOutput } from './cli.fixture.js';
import { run } from './program.js';

const RAW_IP = 101;
const ETHERNET = 1;

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const octets = (address: string) => Buffer.from(address.split('.').map(Number));

/** An IPv4 UDP packet without a UDP checksum. */
function udp(from: string, to: string, port: number, payload: Buffer): Buffer {
  const ip = Buffer.alloc(20);
  ip.writeUInt16BE(0x4500, 0);
  ip.writeUInt16BE(28 + payload.length, 2);
  ip.writeUInt16BE(0x4011, 8);
  octets(from).copy(ip, 12);
  octets(to).copy(ip, 16);
  ip.writeUInt16BE(checksum(ip), 10);
  const header = Buffer.alloc(8);
  header.writeUInt16BE(4000, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([ip, header, payload]);
}

function gtpu(from: string, to: string, teid: number, inner: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(0x30ff, 0);
  header.writeUInt16BE(inner.length, 2);
  header.writeUInt32BE(teid, 4);
  return udp(from, to, 2152, Buffer.concat([header, inner]));
}

/** A classic pcap file, one millisecond between frames. */
function pcap(linkType: number, frames: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(linkType, 20);
  const records = frames.map((frame, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(1_700_000_000, 0);
    record.writeUInt32LE(i * 1000, 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, frame]);
  });
  return Buffer.concat([head, ...records]);
}

const SESSIONS = `
name: ue1
pdrs:
  - id: 1
    precedence: 10
    pdi: { source_interface: access, local_f_teid: { teid: 0x1234 }, ue_address: { ipv4: 10.60.0.2 } }
    outer_header_removal: gtpu
    far_id: 1
    qer_ids: [1]
  - id: 2
    precedence: 10
    pdi: { source_interface: core, network_instance: internet, ue_address: { ipv4: 10.60.0.2 } }
    far_id: 2
    qer_ids: [1]
fars:
  - id: 1
    forward: { destination_interface: core, network_instance: internet }
  - id: 2
    forward:
      destination_interface: access
      outer_header_creation: { teid: 0x99, ipv4: 192.0.2.2 }
qers: [{ id: 1, qfi: 9 }]
`;

let folder: string;
const written = catchOutput();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-replay-test-'));
  writeFileSync(join(folder, 'sessions.yaml'), SESSIONS);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function replay(name: string, content: Buffer, ...flags: string[]): Promise<ReplayResult> {
  const file = join(folder, name);
  writeFileSync(file, content);
  const sessions = join(folder, 'sessions.yaml');
  const code = await run(['replay', file, '--sessions', sessions, '--json', ...flags]);
  expect(written.err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(written.out) as ReplayResult;
}

const payload = Buffer.alloc(16, 0x61);

describe.runIf(hasAddon)('replay', () => {
  it('takes GTP-U as it is, and finds the UPF by the address most packets go to', async () => {
    const inner = udp('10.60.0.2', '203.0.113.1', 53, payload);
    const result = await replay(
      'gtpu.pcap',
      pcap(RAW_IP, [
        gtpu('198.51.100.7', '198.51.100.1', 0x1234, inner),
        gtpu('198.51.100.7', '198.51.100.1', 0x1234, udp('10.9.9.9', '203.0.113.1', 53, payload)),
        gtpu('198.51.100.7', '198.51.100.1', 0x4321, inner),
        gtpu('198.51.100.1', '198.51.100.7', 0x99, inner),
      ]),
    );
    expect(result.n3).toEqual(['198.51.100.1']);
    expect(result.rx).toBe(4);
    expect(result.tx.n6).toBe(1);
    expect(result.dropped).toEqual({ spoofed_source: 1, unknown_teid: 1, not_for_us: 1 });
  });

  it('wraps what a UE sends, takes what it is sent, and writes both sides in order', async () => {
    const target = join(folder, 'out.pcapng');
    const up = udp('10.60.0.2', '203.0.113.1', 53, payload);
    const down = udp('203.0.113.1', '10.60.0.2', 4000, payload);
    const stranger = udp('203.0.113.1', '203.0.113.9', 4000, payload);
    const content = pcap(RAW_IP, [up, down, stranger]);
    const result = await replay('plain.pcap', content, '--out', target);
    expect(result.capture).toMatchObject({ frames: 3, uplink: 1, downlink: 1, other: 1 });
    expect(result.tx).toEqual({ n3: 1, n6: 1 });
    expect(result.dropped).toEqual({ unknown_ue: 1 });
    const written = readFileSync(target);
    expect(written.includes(up.subarray(20))).toBe(true);
    expect(written.indexOf(up.subarray(20))).toBeLessThan(written.indexOf(down.subarray(20)));
    expect(written.includes(Buffer.from('n3')) && written.includes(Buffer.from('n6'))).toBe(true);
  });

  it('gives strangers to the sessions with --wrap', async () => {
    const frames = [
      udp('172.16.0.5', '203.0.113.1', 53, payload),
      udp('203.0.113.1', '172.16.0.5', 4000, payload),
    ];
    const result = await replay('strangers.pcap', pcap(RAW_IP, frames), '--wrap');
    expect(result.capture).toMatchObject({ uplink: 1, downlink: 1, adopted: 2 });
    expect(result.tx).toEqual({ n3: 1, n6: 1 });
    expect(result.dropped).toEqual({});
  });

  it('counts frames without IP as skipped', async () => {
    const arp = Buffer.alloc(42);
    arp.writeUInt16BE(0x0806, 12);
    const result = await replay('arp.pcap', pcap(ETHERNET, [arp]));
    expect(result.capture).toMatchObject({ frames: 1, skipped: { unknown_ethertype: 1 } });
    expect(result.rx).toBe(0);
  });

  it('plays what is before a last record that is cut, and says so', async () => {
    const sessions = join(folder, 'sessions.yaml');
    const cut = join(folder, 'cut.pcap');
    const up = udp('10.60.0.2', '203.0.113.1', 53, payload);
    const whole = pcap(RAW_IP, [up, up]);
    const second = 24 + 16 + up.length;
    for (const end of [second + 1, second + 16, whole.length - 1]) {
      Object.assign(written, { out: '', err: '' });
      writeFileSync(cut, whole.subarray(0, end));
      expect(await run(['replay', cut, '--sessions', sessions, '--json'])).toBe(0);
      expect(written.err).toBe(
        `sluice: ${cut}: the last record, at byte ${second}, is cut and ignored\n`,
      );
      const { tx, capture } = JSON.parse(written.out) as ReplayResult;
      expect([tx.n6, capture.frames, capture.cut_at_byte]).toEqual([1, 1, second]);
    }
    // With no frame before it, there is nothing to play.
    for (const end of [20, 24 + 8, second - 1]) {
      Object.assign(written, { out: '', err: '' });
      writeFileSync(cut, whole.subarray(0, end));
      expect(await run(['replay', cut, '--sessions', sessions])).toBe(1);
      expect(written.err).toContain(cut);
    }
  });

  it('says what is wrong with a capture or a session', async () => {
    const sessions = join(folder, 'sessions.yaml');
    const broken = join(folder, 'broken.pcap');
    writeFileSync(broken, 'this is no capture at all, just text');
    expect(await run(['replay', broken, '--sessions', sessions])).toBe(1);
    expect(written.err).toContain('broken.pcap');
    const missing = join(folder, 'missing.pcap');
    expect(await run(['replay', missing, '--sessions', sessions])).toBe(1);
    expect(written.err).toContain('missing.pcap');
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, SESSIONS.replace('far_id: 2', 'far_id: 7'));
    writeFileSync(broken, pcap(RAW_IP, []));
    written.err = '';
    expect(await run(['replay', broken, '--sessions', bad])).toBe(1);
    expect(written.err).toMatch(/session 1: session\.pdrs\[1\]\.far_id: /);
    expect(await run(['replay', broken, '--sessions', sessions, '--n3', 'upf'])).toBe(2);
  });
});
