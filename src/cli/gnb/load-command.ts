/** `sluice gnb load`: uplink load from many sessions, and where it went. */

import { randomInt } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { Gnb } from '../../tools/gnb.js';
import type { GnbCounters } from '../../tools/gnb-addon.js';
import type { PacketCounts } from '../../tools/packet-counts.js';
import { usageError } from '../../tools/tool-error.js';
import type { UeSession } from '../../tools/ue-session.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import type { Stats } from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { countsOf, countsText } from '../node-commands.js';
import { fields, grouped, printJson, printLine } from '../print.js';
import { DEFAULT_GNB_ADDRESS, sessionFromFlags } from '../session/flags.js';
import { firstFailure, streamSessions } from '../session/stream.js';
import { formatRate, parseCount, parseInteger, parseSeconds } from '../units.js';
import { lookUp, ueSessionOf } from './ue-sessions.js';

/** Addresses set aside for benchmarks (RFC 2544, RFC 5180): nobody answers, nothing leaks. */
const SINK_IPV4 = '198.18.0.1';
const DISCARD_PORT = 9;
const SETTLE_STEP_MS = 200;
const SETTLE_STEPS_MAX = 50;

interface LoadFlags extends ApiOptions {
  session?: string[];
  sessions?: string;
  bind?: string;
  pps: string;
  size: string;
  time: string;
  flows: string;
  to: string;
  json?: boolean;
}

export function addGnbLoad(parent: Command): void {
  parent
    .command('load')
    .description('send uplink load and say where it went')
    .option('--sessions <n>', 'create this many sessions for it, and delete them after')
    .option('--session <name...>', 'use these sessions instead')
    .option('--pps <rate>', 'packets per second in all, such as 250k', '1000')
    .option('--size <bytes>', 'size of the inner IP packet', '64')
    .option('--time <time>', 'how long', '10s')
    .option('--flows <n>', 'inner source ports per UE', '1')
    .option('--to <address[:port]>', 'inner destination; write IPv6 as [addr]:port', SINK_IPV4)
    .option('--bind <address>', `address of the gNB (default: ${DEFAULT_GNB_ADDRESS})`)
    .addHelpText(
      'after',
      `
The UEs take turns. The result is what was sent, what came back down (an echo server at
--to, or another UE's address), and the UPF's own account of the same time. The default
destination is an address reserved for benchmarks that nobody answers.

Examples:
  sluice gnb load --sessions 1000 --pps 200k --size 512 --time 10s
  sluice gnb load --session ue1 --to 10.60.0.1:5000 --pps 1000 --json`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<LoadFlags>();
      await withClient(options, (client) => runLoad(client, options));
    });
}

async function runLoad(client: ApiClient, options: LoadFlags): Promise<void> {
  const destination = destinationOf(options.to);
  if ((options.session === undefined) === (options.sessions === undefined)) {
    throw usageError('give --sessions N (created for the load) or --session NAME…');
  }
  const load = {
    packetsPerSecond: rateOf(options.pps),
    innerBytes: parseInteger(options.size, '--size', 36, 1900),
    seconds: timeOf(options.time),
    flows: parseInteger(options.flows, '--flows', 1, 40_000),
    ...destination,
  };
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  if (options.session !== undefined) {
    const sessions = await lookUp(client, options.session);
    await measure(client, sessions, load, options, abort.signal);
    return;
  }
  const count = parseInteger(options.sessions ?? '', '--sessions', 1, 1_000_000);
  const names = Array.from({ length: count }, (_, i) => `gnb-load-${process.pid}-${i}`);
  try {
    const v6 = isIPv6(load.to);
    const sessions = await createForLoad(client, names, options.bind ?? DEFAULT_GNB_ADDRESS, v6);
    await measure(client, sessions, load, options, abort.signal);
  } finally {
    await streamSessions(
      client,
      names.map((name) => ({ delete: { name } })),
    );
  }
}

function timeOf(text: string): number {
  const seconds = parseSeconds(text, '--time');
  if (seconds === 0) throw usageError('--time: longer than nothing, such as 10s');
  return seconds;
}

function rateOf(text: string): number {
  const rate = parseCount(text, '--pps');
  if (rate === 0) throw usageError('--pps: at least one packet per second');
  return rate;
}

function destinationOf(text: string): { to: string; toPort: number } {
  if (isIPv6(text)) return { to: text, toPort: DISCARD_PORT };
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const to = v6 ?? v4 ?? '';
  if (isIP(to) !== (v6 === undefined ? 4 : 6)) {
    throw usageError(`--to: "${text}" is no IP address with or without a port`);
  }
  return { to, toPort: portOf(port) };
}

function portOf(text: string | undefined): number {
  return text === undefined ? DISCARD_PORT : parseInteger(text, '--to', 1, 65_535);
}

/** Creates sessions in bulk; the gNB's TEIDs are consecutive from a random start. */
async function createForLoad(
  client: ApiClient,
  names: readonly string[],
  gnb: string,
  v6: boolean,
): Promise<UeSession[]> {
  const firstTeid = randomInt(1, 0x7fffffff);
  const requests = names.map((name, i) =>
    sessionFromFlags({
      name,
      gnb,
      gnbTeid: String(firstTeid + i),
      ...(v6 ? { ueIp6: 'auto' } : { ueIp: 'auto' }),
    }),
  );
  const operations = requests.map((session) => ({ create: { session } }));
  const results = await streamSessions(client, operations);
  const failure = firstFailure(results);
  if (failure !== undefined) throw failure;
  return requests.map((session, i) => {
    const { chosen_f_teids: chosen, ue_address: ue } = results[i] ?? {};
    for (const pdr of session.pdrs ?? []) {
      if (pdr.pdi?.local_f_teid !== undefined) Object.assign(pdr.pdi.local_f_teid, chosen?.[0]);
      if (pdr.pdi !== undefined && ue !== undefined) pdr.pdi.ue_address = ue;
    }
    return ueSessionOf(session);
  });
}

async function measure(
  client: ApiClient,
  sessions: readonly UeSession[],
  load: Parameters<Gnb['load']>[0],
  options: LoadFlags,
  signal: AbortSignal,
): Promise<void> {
  const counts = async (): Promise<PacketCounts> =>
    countsOf(await client.call<Stats>('NodeService', 'GetStats', {}));
  const gnb = Gnb.forLoad(sessions, options.bind);
  try {
    const before = await counts();
    await gnb.load(load, signal);
    const upf = difference(before, await settled(counts));
    const result = resultOf(sessions.length, gnb.counters(), upf);
    if (options.json === true) printJson(result);
    else printLine(resultText(result));
  } finally {
    await gnb.stop();
  }
}

/** The account once it stands still: what waits in sockets and rings belongs to the load. */
async function settled(counts: () => Promise<PacketCounts>): Promise<PacketCounts> {
  let before = await counts();
  for (let step = 0; step < SETTLE_STEPS_MAX; step++) {
    await sleep(SETTLE_STEP_MS);
    const after = await counts();
    if (after.rx === before.rx && after.held === before.held) return after;
    before = after;
  }
  return before;
}

/** The account of the time between two readings. */
export function difference(before: PacketCounts, after: PacketCounts): PacketCounts {
  const minus = (a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(a)
        .map(([key, value]) => [key, value - (b[key] ?? 0)] as const)
        .filter(([, value]) => value !== 0),
    );
  return {
    rx: after.rx - before.rx,
    created: after.created - before.created,
    tx: minus(after.tx, before.tx),
    held: after.held - before.held,
    dropped: minus(after.dropped, before.dropped),
  };
}

interface LoadResult {
  readonly sessions: number;
  readonly seconds: number;
  readonly sent: { packets: number; bytes: number; pps: number; bits_per_s: number };
  readonly not_sent: number;
  readonly received: { packets: number; bytes: number };
  readonly upf: PacketCounts;
  /** share of the sent packets that the UPF did not send on */
  readonly loss: number;
}

function resultOf(sessions: number, counters: GnbCounters, upf: PacketCounts): LoadResult {
  const seconds = Math.max(counters.loadSeconds, 1e-6);
  const { uplinkPackets: packets, uplinkBytes: bytes } = counters;
  const forwarded = Object.values(upf.tx).reduce((sum, count) => sum + count, 0);
  return {
    sessions,
    seconds: counters.loadSeconds,
    sent: { packets, bytes, pps: packets / seconds, bits_per_s: (bytes * 8) / seconds },
    not_sent: counters.sendFailed,
    received: { packets: counters.downlinkPackets, bytes: counters.downlinkBytes },
    upf,
    loss: packets === 0 ? 0 : Math.max(0, 1 - forwarded / packets),
  };
}

function resultText(result: LoadResult): string {
  const { sent, received, upf } = result;
  const head = fields([
    [
      'sent',
      `${grouped(sent.packets)} packets in ${result.seconds.toFixed(2)} s: ` +
        `${grouped(Math.round(sent.pps))} pps, ${formatRate(Math.round(sent.bits_per_s / 1000))}`,
    ],
    ['not sent', result.not_sent === 0 ? undefined : grouped(result.not_sent)],
    ['came back', `${grouped(received.packets)} packets`],
    ['loss', `${(result.loss * 100).toFixed(3)} % (sent, but not sent on by the UPF)`],
  ]);
  return `${head}\n\nthe UPF in the same time:\n${countsText(upf)}`;
}
