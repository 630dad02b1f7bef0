/** `sluice n4 load`: an SMF that loads a UPF with sessions, and what became of them. */
import { isIP } from 'node:net';
import type { Command } from 'commander';
import {
  LOAD_SESSIONS_MAX,
  N4_PORT,
  type Pace,
  type SessionOperation,
  Smf,
  type SmfOptions,
} from '../../tools/smf/smf.js';
import type { SmfLoadOutcome } from '../../tools/smf/smf-addon.js';
import { ToolError, usageError } from '../../tools/tool-error.js';
import { grouped, printJson, printLine } from '../print.js';
import { parseCount, parseInteger, parseSeconds } from '../units.js';

const DEFAULT_TARGET = '127.0.0.1';
const DEFAULT_SESSIONS = '10000';
const DEFAULT_WINDOW = '64';
/** With a rate, requests wait for the clock and not for answers. */
const RATE_WINDOW = 65_536;
const ACCEPTED = '1';

interface LoadFlags {
  target: string;
  bind?: string;
  sessions: string;
  rate?: string;
  window?: string;
  modify: string;
  keep?: boolean;
  retransmit: boolean;
  t1: string;
  tries: string;
  time: string;
  ue?: string;
  gnb?: string;
  dnn: string;
  accessInstance: string;
  json?: boolean;
}

export function addN4Load(n4: Command): void {
  n4.command('load')
    .description('be an SMF that loads a UPF with sessions, and say what became of them')
    .option('--target <address[:port]>', 'the UPF; write IPv6 as [addr]:port', DEFAULT_TARGET)
    .option('--bind <address[:port]>', 'our own address and Node ID (default: 127.0.0.3 or none)')
    .option('--sessions <n>', 'how many, such as 100k', DEFAULT_SESSIONS)
    .option('--rate <n>', 'requests a second, such as 20k (default: as fast as the window lets)')
    .option('--window <n>', `requests under way at most (default: ${DEFAULT_WINDOW})`)
    .option('--modify <n>', 'handovers of each session, between establishment and deletion', '1')
    .option('--keep', 'leave the sessions and the association')
    .option('--no-retransmit', 'never send a request again; what is lost stays lost')
    .option('--t1 <time>', 'until a request is sent again, or given up', '1s')
    .option('--tries <n>', 'times that a request is sent at most', '4')
    .option('--time <time>', 'end each part after this time, whatever is left', '60s')
    .option('--ue <address>', 'address of the first UE (default: 10.60.0.2)')
    .option('--gnb <address>', 'where downlink goes (default: 192.0.2.1 or 2001:db8::1)')
    .option('--dnn <name>', "network instance of the UPF's core side", 'internet')
    .option('--access-instance <name>', "that of its access side (default: none's sent)", '')
    .addHelpText(
      'after',
      `
Works with any UPF that chooses F-TEIDs (FTUP). A session has two PDRs with SDF filters, two
FARs, a QER of 1 Gbit/s and a URR; its UE address is given. Each part ends before the next
begins: establishment, modification, deletion. Latency is from when a request was due to its
answer; with --rate, a UPF that falls behind therefore shows. The exit code is 1 when a request
was lost or not accepted.

Examples:
  sluice n4 load --sessions 100k --window 256
  sluice n4 load --target 192.0.2.8 --bind 192.0.2.1 --rate 2000 --sessions 20k --time 30s
  sluice n4 load --sessions 1000 --keep --json

Environment: nothing is read from it.`,
    )
    .action(async (_: unknown, own: Command) => {
      await load(own.optsWithGlobals<LoadFlags>());
    });
}

interface Part {
  readonly operation: SessionOperation;
  readonly outcome: SmfLoadOutcome;
}

async function load(flags: LoadFlags): Promise<void> {
  const options = optionsOf(flags);
  const pace = paceOf(flags);
  const rounds = parseInteger(flags.modify, '--modify', 0, 1_000_000);
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const smf = Smf.open(options);
  const parts: Part[] = [];
  const run = async (operation: SessionOperation): Promise<void> => {
    // Sessions are deleted also when somebody has enough of the load.
    const signal = operation === 'delete' ? undefined : abort.signal;
    if (signal?.aborted === true) return;
    const outcome = await smf.run(operation, 0, options.sessionsMax, pace, signal);
    parts.push({ operation, outcome });
    if (flags.json !== true) printLine(partText(operation, outcome));
  };
  try {
    await smf.associate(pace);
    await run('establish');
    for (let round = 0; round < rounds; round++) await run('modify');
    if (flags.keep !== true) {
      await run('delete');
      await smf.release(pace);
    }
    if (flags.json === true) printJson(resultOf(options, parts, smf.answered()));
  } finally {
    smf.stop();
  }
  const bad = parts.reduce((sum, { outcome }) => sum + failures(outcome), 0);
  if (bad > 0) throw new ToolError(`${grouped(bad)} requests were lost or not accepted`);
}

function optionsOf(flags: LoadFlags): SmfOptions {
  const target = placeOf(flags.target, '--target', N4_PORT);
  const v6 = isIP(target.host) === 6;
  const own = placeOf(flags.bind ?? ownDefault(target.host), '--bind', N4_PORT);
  if (isIP(own.host) !== isIP(target.host)) {
    throw usageError('--bind and --target must both be IPv4 or both IPv6');
  }
  const address = (text: string, flag: string): string => {
    if (isIP(text) === 0) throw usageError(`${flag}: "${text}" is no IP address`);
    return text;
  };
  return {
    target: target.host,
    targetPort: target.port,
    own: own.host,
    ownPort: own.port,
    sessionsMax: countOf(flags.sessions, '--sessions', LOAD_SESSIONS_MAX),
    firstUe: address(flags.ue ?? '10.60.0.2', '--ue'),
    gnb: address(flags.gnb ?? (v6 ? '2001:db8::1' : '192.0.2.1'), '--gnb'),
    networkInstance: flags.dnn,
    accessInstance: flags.accessInstance,
  };
}

/**
 * A UPF on this machine is reached from it; any other needs to be told where we are. Not the
 * UPF's own address: what it sends to us at port 8805 is not to reach itself.
 */
function ownDefault(target: string): string {
  if (target.startsWith('127.')) return target === '127.0.0.3' ? '127.0.0.4' : '127.0.0.3';
  throw usageError('--bind is needed: the address at which the UPF reaches this machine');
}

function paceOf(flags: LoadFlags): Pace {
  const rate = flags.rate === undefined ? 0 : parseCount(flags.rate, '--rate');
  const window = flags.window ?? (rate > 0 ? String(RATE_WINDOW) : DEFAULT_WINDOW);
  return {
    rate,
    window: countOf(window, '--window', RATE_WINDOW),
    t1Seconds: timeOf(flags.t1, '--t1'),
    tries: flags.retransmit ? parseInteger(flags.tries, '--tries', 1, 100) : 1,
    secondsMax: timeOf(flags.time, '--time'),
  };
}

function timeOf(text: string, flag: string): number {
  const seconds = parseSeconds(text, flag);
  if (seconds >= 0.001) return seconds;
  throw usageError(`${flag}: at least 1ms`);
}

function countOf(text: string, flag: string, most: number): number {
  const count = parseCount(text, flag);
  if (count >= 1 && count <= most) return count;
  throw usageError(`${flag}: "${text}" is not from 1 to ${most}`);
}

function placeOf(text: string, flag: string, port: number): { host: string; port: number } {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  const plain = isIP(text) === 6 ? null : /^([^:]+)(?::(\d+))?$/.exec(text);
  const [, host = text, digits] = bracketed ?? plain ?? [];
  if (isIP(host) === 0) throw usageError(`${flag}: "${text}" is no IP address with a port`);
  return { host, port: digits === undefined ? port : parseInteger(digits, flag, 1, 65_535) };
}

function answers({ causes }: SmfLoadOutcome): number {
  return Object.values(causes).reduce((sum, count) => sum + count, 0);
}
function failures(outcome: SmfLoadOutcome): number {
  return outcome.sent + outcome.skipped - (outcome.causes[ACCEPTED] ?? 0);
}
function ratePerSecond(outcome: SmfLoadOutcome): number {
  return outcome.seconds > 0 ? answers(outcome) / outcome.seconds : 0;
}

function partText(operation: SessionOperation, outcome: SmfLoadOutcome): string {
  const causes = Object.entries(outcome.causes)
    .filter(([cause]) => cause !== ACCEPTED)
    .map(([cause, count]) => `cause ${cause}: ${grouped(count)}`);
  const extra = [
    ...causes,
    ...counted('lost', outcome.lost),
    ...counted('sent again', outcome.retransmitted),
    ...counted('without a session', outcome.skipped),
    ...counted('stray answers', outcome.stray),
    ...(outcome.timedOut ? ['the time was over'] : []),
  ];
  return [
    operation.padEnd(9),
    `${grouped(outcome.causes[ACCEPTED] ?? 0)} accepted in ${outcome.seconds.toFixed(2)} s`,
    `${grouped(Math.round(ratePerSecond(outcome)))}/s`,
    `p50 ${outcome.p50Ms.toFixed(2)} ms`,
    `p99 ${outcome.p99Ms.toFixed(2)} ms`,
    `most ${outcome.mostMs.toFixed(2)} ms`,
    extra.join(', '),
  ]
    .join('  ')
    .trimEnd();
}

function counted(what: string, count: number): string[] {
  return count === 0 ? [] : [`${what}: ${grouped(count)}`];
}

function resultOf(
  { target, targetPort, sessionsMax }: SmfOptions,
  parts: readonly Part[],
  answered: { readonly heartbeats: number; readonly reports: number },
): object {
  return {
    target,
    port: targetPort,
    sessions: sessionsMax,
    parts: parts.map(({ operation, outcome }) => ({
      operation,
      sent: outcome.sent,
      accepted: outcome.causes[ACCEPTED] ?? 0,
      causes: outcome.causes,
      lost: outcome.lost,
      skipped: outcome.skipped,
      retransmitted: outcome.retransmitted,
      stray: outcome.stray,
      timed_out: outcome.timedOut,
      seconds: outcome.seconds,
      per_second: ratePerSecond(outcome),
      latency_ms: {
        p50: outcome.p50Ms,
        p90: outcome.p90Ms,
        p99: outcome.p99Ms,
        most: outcome.mostMs,
      },
    })),
    heartbeats_answered: answered.heartbeats,
    reports_answered: answered.reports,
  };
}
