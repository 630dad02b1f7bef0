/** trace and capture against a server of their own kind; headers and packets by themselves. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { catchOutput, listen, serviceOf } from '../cli.fixture.js';
import { run } from '../program.js';
import { decodeHeaders } from './headers.js';

type Unary = grpc.handleUnaryCall<Record<string, unknown>, object>;
const SESSION = {
  name: 'ue1',
  pdrs: [
    { id: 1, pdi: { local_f_teid: { ipv4: '10.0.0.1', chosen_teid: 0x1234 } } },
    { id: 2, pdi: { ue_address: { ipv4: '10.60.0.7', ipv6_prefix: 'fd00:60::/64' } } },
  ],
  fars: [
    {
      id: 2,
      forward: {
        destination_interface: 1,
        outer_header_creation: { teid: 0x99, ipv4: '10.0.0.2' },
      },
    },
  ],
  qers: [{ id: 1, qfi: 9 }],
};
let traced: { packet: Buffer; port: string }[] = [];
let asked: Record<string, unknown>[] = [];

const getSession: Unary = (call, callback) =>
  call.request.name === 'ue1'
    ? callback(null, SESSION)
    : callback({ code: grpc.status.NOT_FOUND, details: 'none' });
const getNode: Unary = (_, callback) =>
  callback(null, {
    ports: [
      { name: 'n3', driver: 'socket', addresses: ['10.0.0.1'] },
      { name: 'n6', driver: 'tun' },
    ],
  });
const trace: Unary = (call, callback) => {
  const request = call.request as unknown as { packet: Buffer; port: string };
  traced.push(request);
  callback(null, {
    steps: [{ stage: 'match', decision: 'PDR 2 matched', seid: '5', rule_id: 2 }],
    verdict: 'forwarded',
    outputs: ['n6', 'n3'].map((port) => ({ port, packet: request.packet })),
  });
};
const capture: grpc.handleServerStreamingCall<Record<string, unknown>, object> = (call) => {
  asked.push(call.request);
  if (call.request.session_name === 'nobody') {
    call.emit('error', { code: grpc.status.NOT_FOUND, details: 'none' });
    return;
  }
  call.write({ pcapng: Buffer.from('one'), packets: '1', trailer: Buffer.from('T1') });
  call.write({ pcapng: Buffer.from('two'), packets: '2', lost: '4', trailer: Buffer.from('T2') });
  // Limited ones end by themselves; the others wait for the client to go.
  if (call.request.max_packets === '2') {
    call.write({ pcapng: Buffer.from('end'), packets: '2', lost: '4' });
    call.end();
  } else {
    setTimeout(() => process.emit('SIGINT'), 50);
  }
};

let server: grpc.Server;
let api: string;
let folder: string;
const written = catchOutput();

beforeAll(async () => {
  server = new grpc.Server();
  server.addService(serviceOf('SessionService'), { getSession });
  server.addService(serviceOf('NodeService'), { getNode, trace, capture });
  api = await listen(server);
  folder = mkdtempSync(join(tmpdir(), 'sluice-sight-'));
});
afterAll(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  [traced, asked] = [[], []];
});

const sluice = (...args: string[]): Promise<number> => run([...args, '--api', api]);
const headersOf = (index = 0): string =>
  decodeHeaders(traced[index]!.packet)
    .map(({ name, text }) => `${name} ${text}`)
    .join('\n');

describe('trace', () => {
  it('builds an uplink packet in the session’s tunnel, and prints steps and headers', async () => {
    const far = ['--session', 'ue1', '--to', '203.0.113.9:443'];
    expect(await sluice('trace', 'uplink', 'udp', ...far, '--bytes', '1400', '--qfi', '5')).toBe(0);
    expect(traced[0]?.port).toBe('n3');
    expect(headersOf()).toBe(
      [
        'outer IPv4 10.0.0.2 > 10.0.0.1, length 1444, ttl 64',
        'outer UDP 2152 > 2152, length 1424',
        'GTP-U G-PDU, TEID 0x1234, length 1408',
        'PDU Session Container uplink, QFI 5',
        'inner IPv4 10.60.0.7 > 203.0.113.9, length 1400, ttl 64',
        'inner UDP 40000 > 443, length 1380',
      ].join('\n'),
    );
    expect(written.out).toMatch(/^match +PDR 2 matched$/m);
    expect(written.out).toMatch(/^forwarded$/m);
    expect(written.out).toMatch(/^out on n6, 1444 bytes$/m);
    expect(written.out).toMatch(/^PDU Session Container +uplink, QFI 5$/m);
  });

  it('names what the kernel makes of outer headers that go out by a socket', async () => {
    const far = ['--session', 'ue1', '--to', '203.0.113.9:443'];
    expect(await sluice('trace', 'uplink', 'udp', ...far)).toBe(0);
    const [, n6 = '', n3 = ''] = written.out.split(/^out on /m);
    expect(n3).toMatch(/^n3, 144 bytes\ndriver socket: .* without DF, .* with a checksum\nHEADER/);
    expect(n6).toMatch(/^n6, 144 bytes\nHEADER/);
    expect(
      await sluice('trace', 'downlink', 'udp', '--session', 'ue1', '--from', '1.2.3.4:5'),
    ).toBe(0);
    expect(written.out.split(/^out on n3/m).at(-1)).not.toContain('driver socket');
  });

  it('builds downlink, other protocols and IPv6', async () => {
    await sluice('trace', 'downlink', 'tcp', '--session', 'ue1', '--from', '203.0.113.9:443');
    expect(traced[0]?.port).toBe('n6');
    expect(headersOf()).toContain('IPv4 203.0.113.9 > 10.60.0.7');
    expect(headersOf()).toContain('TCP 443 > 40000, ACK');
    const v6 = ['--session', 'ue1', '--to', '2001:db8::9', '--qfi', 'none'];
    await sluice('trace', 'uplink', 'icmp', ...v6);
    expect(headersOf(1)).toContain('inner IPv6 fd00:60::1 > 2001:db8::9, length 100');
    expect(headersOf(1)).toContain('inner ICMPv6 type 128, code 0');
    expect(headersOf(1)).not.toContain('Container');
  });

  it('takes hexadecimal text, also with an Ethernet header, and prints JSON', async () => {
    const ip = '4500001c00000000401100000a3c0007cb0071090fa001bb00080000';
    expect(await sluice('trace', '--hex', ip, '--json')).toBe(0);
    const ethernet = `${'00'.repeat(12)}0800${ip}`;
    expect(await sluice('trace', '--hex', ethernet, '--port', 'n6')).toBe(0);
    expect(traced.map(({ packet }) => packet.toString('hex'))).toEqual([ip, ip]);
    const json = JSON.parse(written.out.slice(0, written.out.indexOf('\n}') + 2)) as object;
    expect(json).toMatchObject({
      steps: [{ stage: 'match', rule_id: 2 }],
      outputs: ['n6', 'n3'].map((port) => ({ port, packet: ip })),
    });
  });

  it('says in one sentence what is wrong', async () => {
    const far = ['--session', 'ue1', '--to', '203.0.113.9:443'];
    for (const [args, message] of [
      [[], 'give one of: uplink or downlink, --hex, --pcap'],
      [['uplink', 'udp', '--hex', '45'], 'give one of: uplink or downlink, --hex, --pcap'],
      [['sideways', 'udp'], '"sideways" is neither uplink nor downlink'],
      [['uplink', 'sctp', ...far], 'name the protocol behind uplink: udp, tcp, icmp'],
      [['uplink', 'udp', '--to', '1.2.3.4:5'], 'name the session: --session NAME'],
      [['uplink', 'udp', '--session', 'ue1'], 'give the far end: --to ADDRESS:PORT'],
      [['uplink', 'udp', ...far, '--from', '1.2.3.4:5'], '--from goes with the other direction'],
      [['downlink', 'udp', '--session', 'ue1', '--from', '1.2.3.4:5', '--qfi', '1'], '--qfi goes'],
      [['uplink', 'udp', '--session', 'ue1', '--to', '1.2.3.4'], '--to: "1.2.3.4" lacks a port'],
      [['uplink', 'udp', '--session', 'ue1', '--to', 'x:1'], '--to: "x:1" is no address'],
      [['uplink', 'udp', '--session', 'ue1', '--to', '1.2.3.4:70000'], '--to: port 70000 is not'],
      [['uplink', 'udp', ...far, '--qfi', '64'], '--qfi: "64" is no whole number from 0 to 63'],
      [['uplink', 'udp', ...far, '--bytes', '20'], '--bytes: "20" is no whole number from 28'],
      [['uplink', 'tcp', ...far, '--bytes', '30'], '--bytes: this packet has at least 40 bytes'],
      [['uplink', 'udp', ...far, '--ue', 'fd00::1'], 'are of different IP versions'],
      [['--hex', '4g'], '--hex: "g" is no hexadecimal digit'],
      [['--hex', '450'], '--hex: 3 digits are no whole number of bytes'],
      [['--hex', ' '], '--hex: gives no bytes'],
      [['--hex', '45', '--frame', '2'], '--frame goes with --pcap'],
      [['--hex', '45', '--bytes', '100'], '--bytes goes with uplink or downlink'],
      [['--pcap', 'a', '--frame', '0'], '--frame: "0" is no whole number from 1'],
    ] as const) {
      written.err = '';
      expect(await sluice('trace', ...args), args.join(' ')).toBe(2);
      expect(written.err).toContain(`sluice: ${message}`.slice(0, 8));
      expect(written.err, args.join(' ')).toContain(message);
    }
    written.err = '';
    expect(await sluice('trace', 'uplink', 'udp', '--session', 'nobody', '--to', '1.2.3.4:5')).toBe(
      1,
    );
    expect(written.err).toBe('sluice: there is no session "nobody"\n');
    expect(traced).toEqual([]);
  });
});

describe('capture', () => {
  it('asks for what the flags say, and writes what comes', async () => {
    const file = join(folder, 'a.pcapng');
    const flags = ['--snap', '96', '--count', '2', '--time', '1500ms', '--drops'];
    expect(await sluice('capture', '--session', 'ue1', ...flags, '-w', file)).toBe(0);
    expect(asked[0]).toMatchObject({
      session_name: 'ue1',
      snap_length: 96,
      max_packets: '2',
      max_time: { seconds: '1', nanos: 500_000_000 },
      drops: true,
    });
    expect(readFileSync(file, 'utf8')).toBe('onetwoend');
    expect(written.err).toContain('2 packets, 4 lost');
  });

  it('tells programs on stdout what there was', async () => {
    const file = join(folder, 'json.pcapng');
    expect(await sluice('--json', 'capture', '--session', 'ue1', '-w', file)).toBe(0);
    expect(JSON.parse(written.out)).toEqual({ out: file, packets: 2, lost: 4 });
    expect(written.err).toBe('');
  });

  it('completes the file when it is interrupted', async () => {
    const file = join(folder, 'b.pcapng');
    expect(await sluice('capture', '--port', 'n3', '-w', file)).toBe(0);
    expect(asked[0]).toMatchObject({ port: 'n3' });
    expect(readFileSync(file, 'utf8')).toBe('onetwoT2');
  });

  it('says in one sentence what is wrong, and leaves no file', async () => {
    const file = join(folder, 'c.pcapng');
    for (const [args, message] of [
      [['-w', file], 'give one of --session NAME and --port NAME'],
      [['--session', 'a', '--port', 'n3', '-w', file], 'give one of --session NAME and --port'],
      [['--session', 'ue1'], 'say where it goes: -w FILE, or -w - for stdout'],
      [['--port', 'n3', '-w', file, '--snap', '63'], '--snap: "63" is no whole number from 64'],
      [['--port', 'n3', '-w', file, '--count', '0'], '--count: at least 1'],
      [['--port', 'n3', '-w', file, '--time', 'soon'], '--time: "soon" is no time'],
      [['--port', 'n3', '-w', file, '--time', '2000m'], '--time: from 1ms to 24h'],
    ] as const) {
      written.err = '';
      expect(await sluice('capture', ...args), args.join(' ')).toBe(2);
      expect(written.err, args.join(' ')).toContain(message);
    }
    written.err = '';
    expect(await sluice('capture', '--session', 'nobody', '-w', file)).toBe(1);
    expect(written.err).toBe('sluice: there is no session "nobody"\n');
    expect(() => readFileSync(file)).toThrow('ENOENT');
    const nowhere = join(folder, 'no', 'such.pcapng');
    expect(await sluice('capture', '--port', 'n3', '--count', '2', '-w', nowhere)).toBe(1);
    expect(written.err).toContain(`${nowhere} cannot be written: its folder is not there`);
  });
});
