/**
 * The rules that few packets meet, with kernels at both ends: sizes, hops, UEs that reach each
 * other, one address in two networks, routes behind a UE, packets that are held, path switches.
 * All of it is captured on N3 and N6 and decoded afterwards by tshark and scapy.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Far, Report, Session } from '../../src/cli/api/messages.js';
import { ueSessionOf } from '../../src/cli/gnb/ue-sessions.js';
import { addresses, Lab, type LabProcess } from './lab.js';
import { answersOf, pingFor, Upf } from './upf.js';

const ACCESS_MTU = 1400;
/** Outer IPv4, UDP, GTP-U with the container. */
const ROOM = ACCESS_MTU - 44;
/** Data of a ping that fits on N6 and not into N3's tunnel. */
const TOO_BIG = ['-s', '1400'];
const GATEWAY = '10.60.0.1';
const GATEWAY_V6 = 'fd00:60::1';
const IMS_SERVER = '203.0.113.2';
const SHARED_UE = '10.60.77.7';
const BEHIND_UE = '192.168.50.5';
const FRAMED_ROUTE = '192.168.50.0/24';
const PORT = 40_000;
const OLD_TEID = 0x201;
const NEW_TEID = 0x202;
/** Number of the first datagram that the path switch meets. */
const FIRST = 10_000;
const UNKNOWN_TEID = 0xdeadbeef;

// Namespaces of UEs are the machine's: another run must not meet them.
const nameOf = (role: string) => `net-${role}-${process.pid}`;
const ue = (role: string) => `ue:${nameOf(role)}` as const;

let lab: Lab;
let upf: Upf;
const captures: LabProcess[] = [];
const sessions = new Map<string, Session>();

beforeAll(async () => {
  lab = await Lab.open();
  await capture('n3', 'udp port 2152');
  const gtpu = { echoIntervalSeconds: 1, errorIndicationsQuietSeconds: 0 };
  upf = new Upf(lab, { name: 'net', accessMtu: ACCESS_MTU, gtpu, ims: true });
  await upf.start();
  await capture('sluice0', '');
  await addIms();
  for (const role of ['one', 'two']) {
    sessions.set(role, await upf.create({ name: nameOf(role), ueIp: 'auto', ueIp6: 'auto' }));
  }
  for (const role of ['internet', 'ims']) {
    await upf.create({ name: nameOf(role), dnn: role, ueIp: SHARED_UE });
  }
  await upf.create({ name: nameOf('routed'), ueIp: 'auto' }, (session) => {
    for (const { pdi } of session.pdrs ?? []) {
      if (pdi !== undefined) pdi.framed_routes = [FRAMED_ROUTE];
    }
  });
  const held = { name: nameOf('held'), ueIp: 'auto', gnbTeid: String(OLD_TEID) };
  sessions.set('held', await upf.create(held));
  await upf.gnb(...['one', 'two', 'internet', 'ims', 'routed', 'held'].map(nameOf));
});
afterAll(async () => {
  await upf?.endGnbs();
  upf?.client.close();
  await lab?.close();
});

async function capture(device: string, filter: string): Promise<void> {
  const file = join(lab.folder, `${device}.pcapng`);
  const started = lab.start('upf', ['dumpcap', '-q', '-i', device, '-f', filter, '-w', file]);
  captures.push(started);
  // dumpcap says so on standard error.
  await vi.waitUntil(() => started.stderr.includes('File:'), { timeout: 10_000 });
}

/** A second data network at the same host, whose UEs have the addresses of the first. */
async function addIms(): Promise<void> {
  const [upfSide, dnSide] = [lab.namespace('upf'), lab.namespace('dn')];
  const commands = [
    `ip link add name ims0 netns ${upfSide} type veth peer name ims0 netns ${dnSide}`,
    `ip -n ${upfSide} link set ims0 up`,
    `ip -n ${dnSide} link set ims0 up`,
    `ip -n ${upfSide} address add 203.0.113.1/24 dev ims0`,
    `ip -n ${dnSide} address add ${IMS_SERVER}/24 dev ims0`,
    `ip -n ${upfSide} rule add iif ims0 lookup 100`,
    `ip -n ${upfSide} route add ${addresses.uePool} dev sluice1 table 100`,
    `ip -n ${dnSide} rule add from ${IMS_SERVER} lookup 100`,
    `ip -n ${dnSide} route add default via 203.0.113.1 table 100`,
    // The way back to a UE of "ims" is not that of the main table; else as strict as can be.
    `ip netns exec ${upfSide} sysctl -qw net.ipv4.conf.all.rp_filter=0`,
    `ip netns exec ${upfSide} sysctl -qw net.ipv4.conf.sluice1.rp_filter=0`,
    `ip netns exec ${upfSide} sysctl -qw net.ipv4.conf.sluice0.rp_filter=1`,
  ];
  for (const command of commands) await lab.run('upf', command.split(' '));
}

const addressOf = (role: string) => {
  const session = sessions.get(role);
  if (session === undefined) throw new Error(`no session ${role}`);
  return ueSessionOf(session);
};
/** One ping that may go without an answer. */
const once = (...args: string[]) => ['ping', '-c', '1', '-W', '2', ...args];

describe('a packet that is too big for N3', () => {
  it('is fragmented inside the tunnel where it may be, and answered', async () => {
    const before = Number((await upf.stats()).created ?? 0);
    const ping = pingFor(3, addressOf('one').ipv4);
    expect(answersOf(await lab.run('dn', [...ping, '-M', 'dont', ...TOO_BIG]))).toBe(3);
    expect(Number((await upf.stats()).created ?? 0)).toBeGreaterThanOrEqual(before + 3);
  });

  it.each([
    { family: 'IPv4', server: GATEWAY, says: new RegExp(`Frag needed.*mtu = ${ROOM}\\)`) },
    { family: 'IPv6', server: GATEWAY_V6, says: new RegExp(`Packet too big: mtu=${ROOM}`) },
  ])('$family: its sender is told, and then finds the size', async ({ family, server, says }) => {
    const { ipv4, ipv6 } = addressOf('one');
    const target = family === 'IPv4' ? ipv4 : ipv6;
    const refused = await lab.run('dn', once('-M', 'do', ...TOO_BIG, target), false);
    expect(answersOf(refused)).toBe(0);
    expect(refused.stdout).toMatch(says);
    expect(refused.stdout).toContain(`From ${server}`);
    const route = await lab.run('dn', ['ip', 'route', 'get', target]);
    expect(route.stdout).toContain(`mtu ${ROOM}`);
    // The kernel makes pieces of that size now.
    expect(answersOf(await lab.run('dn', [...pingFor(2, target), ...TOO_BIG]))).toBe(2);
  });
});

describe('UE to UE', () => {
  it('goes round in the UPF as one hop', async () => {
    const sent = Number((await upf.counts()).tx.n6 ?? 0);
    const { ipv4, ipv6 } = addressOf('two');
    for (const target of [ipv4, ipv6]) {
      const ping = await lab.run(ue('one'), pingFor(3, target));
      expect(answersOf(ping)).toBe(3);
      expect(ping.stdout).toContain('ttl=63');
    }
    expect(Number((await upf.counts()).tx.n6 ?? 0)).toBe(sent);
  });

  it('tells the sender of a packet at its last hop', async () => {
    const ping = await lab.run(ue('one'), once('-t', '1', addressOf('two').ipv4), false);
    expect(ping.stdout).toMatch(new RegExp(`From ${GATEWAY}.*Time to live exceeded`));
  });
});

/** Packets that a UE's device has had. */
async function receivedBy(role: string): Promise<number> {
  const { stdout } = await lab.run(ue(role), ['ip', '-s', '-j', 'link', 'show', 'ue0']);
  const [device] = JSON.parse(stdout) as { stats64: { rx: { packets: number } } }[];
  return device?.stats64.rx.packets ?? -1;
}

describe('two data networks', () => {
  it('have a UE of one address each', async () => {
    for (const [role, server] of [
      ['internet', addresses.server],
      ['ims', IMS_SERVER],
    ] as const) {
      expect(answersOf(await lab.run(ue(role), pingFor(3, server))), role).toBe(3);
      const before = await receivedBy(role);
      const back = await lab.run('dn', [...pingFor(3, SHARED_UE), '-I', server]);
      expect(answersOf(back), role).toBe(3);
      // It was this UE that answered, not the other of the same address.
      expect((await receivedBy(role)) - before, role).toBeGreaterThanOrEqual(3);
    }
  });
});

describe('a framed route', () => {
  it('leads to a host behind the UE', async () => {
    await lab.run('upf', ['ip', 'route', 'add', FRAMED_ROUTE, 'dev', 'sluice0']);
    await lab.run('dn', ['ip', 'route', 'add', FRAMED_ROUTE, 'via', addresses.upfN6]);
    await lab.run(ue('routed'), ['ip', 'address', 'add', `${BEHIND_UE}/24`, 'dev', 'lo']);
    expect(answersOf(await lab.run('dn', pingFor(3, BEHIND_UE)))).toBe(3);
    const out = await lab.run(ue('routed'), [...pingFor(3, addresses.server), '-I', BEHIND_UE]);
    expect(answersOf(out)).toBe(3);
  });
});

/**
 * Sends numbered datagrams, less than one a millisecond: HOST FIRST COUNT. A count of 0 is "until standard
 * input is closed, and 50 more". Prints the number of the last.
 */
const SENDER = `
import itertools, select, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
host, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
last = first + count - 1 if count else None
for n in itertools.count(first):
    s.sendto(struct.pack("!I", n), (host, ${PORT}))
    if last is None and select.select([sys.stdin], [], [], 0)[0]: last = n + 50
    if n == last: break
    time.sleep(0.001)
print(last)
`;
const RECEIVER = `
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", ${PORT}))
print("ready", flush=True)
while True: print("got", struct.unpack("!I", s.recv(100))[0], flush=True)
`;
const python = (program: string, ...args: (string | number)[]) => [
  ...['/usr/bin/python3', '-c', program],
  ...args.map(String),
];
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Puts a FAR in the place of the one with its ID. */
const replaceFar = (far: Far) => (session: Session) => {
  session.fars = [...(session.fars ?? []).filter(({ id }) => id !== far.id), far];
};

describe('a FAR that buffers', () => {
  const HELD = 100;

  it('tells its watcher once, and lets go in order, before what comes live', async () => {
    const session = sessions.get('held') as Session;
    const { ipv4 } = addressOf('held');
    const downlink = session.fars?.find((far) => far.id === 2) as Far;
    const watch = upf.client.duplex('SessionService', 'WatchReports');
    const reports: Report[] = [];
    watch.on('error', () => undefined);
    watch.on('data', (report: Report) => reports.push(report));
    watch.write({ cursor: '', names: [nameOf('held')] });
    await upf.update(session, replaceFar({ id: 2, buffer: { notify: true } }));
    const receiver = lab.start(ue('held'), python(RECEIVER));
    await receiver.printed(/ready/);
    await lab.run('dn', python(SENDER, ipv4, 0, HELD));
    const held = async () => Number((await upf.stats()).held ?? 0);
    await expect.poll(held, { timeout: 10_000 }).toBe(HELD);
    await expect.poll(() => reports.length, { timeout: 10_000 }).toBe(1);
    expect(reports[0]?.downlink_data).toEqual({ pdr_id: 2, qfi: 9 });
    expect(receiver.stdout).not.toContain('got');
    const live = lab.start('dn', python(SENDER, ipv4, HELD, 0));
    await expect.poll(held, { timeout: 10_000 }).toBeGreaterThan(HELD);
    await upf.update(session, replaceFar(downlink));
    live.child.stdin?.end();
    const last = Number((await live.finished).stdout);
    await receiver.printed(new RegExp(`got ${last}\\n`));
    const got = [...receiver.stdout.matchAll(/got (\d+)/g)].map((match) => Number(match[1]));
    expect(got).toEqual(upTo(last + 1));
    expect(reports).toHaveLength(1);
    expect(await held()).toBe(0);
    watch.cancel();
  });
});

/** Datagrams that the path switch met. */
let switched = 0;

describe('a path switch under traffic', () => {
  it('ends the old tunnel with one End Marker, after its last packet and before the first of the new', async () => {
    const session = sessions.get('held') as Session;
    const sender = lab.start('dn', python(SENDER, addressOf('held').ipv4, FIRST, 0));
    const before = await upf.counts();
    const sent = async () => Number((await upf.counts()).tx.n3) - Number(before.tx.n3);
    await expect.poll(sent, { timeout: 10_000, interval: 10 }).toBeGreaterThan(50);
    await upf.update(
      session,
      (changed) => {
        const header = changed.fars?.find((far) => far.id === 2)?.forward?.outer_header_creation;
        if (header !== undefined) header.teid = NEW_TEID;
      },
      { send_end_markers: true },
    );
    sender.child.stdin?.end();
    switched = Number((await sender.finished).stdout) - FIRST + 1;
    await expect.poll(sent, { timeout: 10_000 }).toBeGreaterThanOrEqual(switched);
  });
});

describe('an unknown TEID', () => {
  it('is answered with an Error Indication', async () => {
    const script = join(import.meta.dirname, 'hostile.py');
    const args = [addresses.upfN3, String(UNKNOWN_TEID), addressOf('one').ipv4, '1'];
    const sender = lab.start('ran', ['/usr/bin/python3', script, ...args]);
    sender.child.stdin?.end('good\n');
    await sender.finished;
    type Gtpu = { gtpu?: { error_indications_sent?: string } };
    const sent = async () => Number(((await upf.stats()) as Gtpu).gtpu?.error_indications_sent);
    await expect.poll(sent, { timeout: 5000 }).toBe(1);
  });
});

describe('what left N3 and N6', () => {
  const fileOf = (device: string) => join(lab.folder, `${device}.pcapng`);
  /** Fields of the packets that a filter takes, a line each. */
  async function tshark(device: string, filter: string, ...fields: string[]): Promise<string[][]> {
    const show = fields.flatMap((field) => ['-e', field]);
    const flags = ['-r', fileOf(device), '-Y', filter, '-T', 'fields', ...show];
    const { stdout } = await lab.run('upf', ['tshark', ...flags]);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => line.split('\t'));
  }

  beforeAll(async () => {
    // Peers are asked every second; one more round is in the capture.
    const asked = async () =>
      (await upf.client.call<{ peers?: { state?: string }[] }>('NodeService', 'GetNode', {})).peers;
    await vi.waitUntil(async () => (await asked())?.[0]?.state === 'up', { timeout: 10_000 });
    // The kernel hands a capture over in blocks, and drops the last one when the capture ends: the
    // Error Indication is the last that was sent.
    const errors = async () => tshark('n3', 'gtp.message == 0x1a', 'frame.number');
    // To tshark, a file that is still written may end in the middle of a packet.
    await vi.waitFor(async () => expect(await errors()).toHaveLength(1), {
      timeout: 10_000,
      interval: 250,
    });
    for (const one of captures) await one.end('SIGINT');
  });

  it.each(['n3', 'sluice0'])('%s: is well-formed to tshark', async (device) => {
    const bad = '_ws.malformed || _ws.expert.severity == error';
    expect(await tshark(device, bad, 'frame.number', '_ws.col.Info', '_ws.expert')).toEqual([]);
  });

  it('N3 is well-formed to scapy, and has every kind of message', async () => {
    const script = join(import.meta.dirname, 'check_n3.py');
    const checked = await lab.run('upf', [
      '/usr/bin/python3',
      script,
      fileOf('n3'),
      addresses.upfN3,
    ]);
    const found = JSON.parse(checked.stdout) as Record<string, number> & { complaints: string[] };
    expect(found.complaints).toEqual([]);
    expect(found.fragments).toBeGreaterThanOrEqual(6);
    expect(found).toMatchObject({ errors: 1, ends: 1 });
    expect(found.asked).toBeGreaterThan(0);
  });

  it('N6 is well-formed to scapy, and its ICMP errors quote what they are about', async () => {
    const script = join(import.meta.dirname, 'check_n6.py');
    const own = [GATEWAY, GATEWAY_V6];
    const checked = await lab.run('upf', ['/usr/bin/python3', script, fileOf('sluice0'), ...own]);
    expect(JSON.parse(checked.stdout)).toEqual({
      errors: { [`3/4 ${ROOM}`]: 1, [`2/0 ${ROOM}`]: 1 },
      complaints: [],
    });
  });

  it('the path switch is in order on N3', async () => {
    const filter = `ip.src == ${addresses.upfN3} && (gtp.teid == ${OLD_TEID} || gtp.teid == ${NEW_TEID})`;
    const lines = await tshark('n3', filter, 'gtp.message', 'gtp.teid', 'data.data');
    const packets = lines.map(([message, teid, data]) => ({
      message: Number(message),
      teid: Number(teid),
      number: Number.parseInt(data ?? '', 16),
    }));
    const ends = packets.flatMap((packet, i) => (packet.message === 254 ? [i] : []));
    expect(ends).toHaveLength(1);
    const end = ends[0] as number;
    expect(packets[end]?.teid).toBe(OLD_TEID);
    expect(new Set(packets.slice(0, end).map(({ teid }) => teid))).toEqual(new Set([OLD_TEID]));
    expect(new Set(packets.slice(end + 1).map(({ teid }) => teid))).toEqual(new Set([NEW_TEID]));
    const numbers = packets.filter(({ number }) => number >= FIRST).map(({ number }) => number);
    expect(switched).toBeGreaterThan(100);
    expect(numbers).toEqual(upTo(switched).map((n) => FIRST + n));
  });

  it('every packet is accounted for', async () => {
    const sum = (parts: Readonly<Record<string, number>>) =>
      Object.values(parts).reduce((total, part) => total + part, 0);
    const missing = async () => {
      const { rx, created, tx, held, dropped } = await upf.counts();
      return rx + created - sum(tx) - held - sum(dropped);
    };
    // An Echo may pass while the counters are read.
    await expect.poll(missing, { timeout: 5000 }).toBe(0);
  });
});
