/**
 * `sluice gnb`: UEs and a gNB for trying a UPF out, and a load generator. The commands run on
 * the process's one thread and only steer; packets move on native threads (src/tools/gnb.ts).
 */
import type { Command } from 'commander';
import { DEFAULT_UE_MTU, Gnb, runInNamespace } from '../../tools/gnb.js';
import type { GnbCounters } from '../../tools/gnb-addon.js';
import { ToolError, usageError } from '../../tools/tool-error.js';
import type { UeSession } from '../../tools/ue-session.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import { withClient } from '../api/with-client.js';
import { fields, grouped, printLine } from '../print.js';
import { DEFAULT_GNB_ADDRESS } from '../session/flags.js';
import { parseInteger } from '../units.js';
import { addGnbLoad } from './load-command.js';
import { createDemo, lookUp } from './ue-sessions.js';

/** As a shell says it: 128 + SIGINT. */
const EXIT_INTERRUPTED = 130;

interface GnbFlags extends ApiOptions {
  session?: string[];
  bind?: string;
  mtu?: string;
  json?: boolean;
}

export function addGnbCommands(program: Command): void {
  const gnb = program
    .command('gnb')
    .description('a small gNB with UEs in network namespaces, and a load generator')
    .addHelpText(
      'after',
      `
A UE is a network namespace "sluice-ue-NAME" with a TUN device that holds the session's
addresses and the default route; the gNB puts its packets into GTP-U (PDU Session
Container, QFI of the session), takes the answers out, and answers Echo. Sessions are
looked up over gRPC. Namespaces need root; "load" does not.

Examples:
  sluice gnb exec -- ping -c 3 10.60.0.1
  sluice gnb load --sessions 100 --pps 20k`,
    );
  addUp(gnb);
  addExec(gnb);
  addGnbLoad(gnb);
}

function withUeFlags(command: Command): Command {
  return command
    .option('--session <name...>', 'sessions to serve, one UE each')
    .option('--bind <address>', 'address of the gNB (default: where the sessions send to)')
    .option('--mtu <bytes>', `MTU of the UE (default: ${DEFAULT_UE_MTU})`);
}

function addUp(parent: Command): void {
  withUeFlags(parent.command('up', { isDefault: true }))
    .description('bring UEs up and serve them until Ctrl-C')
    .addHelpText(
      'after',
      `
Examples:
  sluice gnb up --session ue1
  sluice gnb --session ue1 ue2
  ip netns exec sluice-ue-ue1 ping 10.60.0.1`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<GnbFlags>();
      const names = options.session ?? [];
      if (names.length === 0) throw usageError('name at least one --session');
      const sessions = await withClient(options, (client) => lookUp(client, names));
      await serveUes(sessions, options);
    });
}

function addExec(parent: Command): void {
  withUeFlags(parent.command('exec <command...>'))
    .description('run a command as a UE: set up, run, take down; exit code of the command')
    .addHelpText(
      'after',
      `
Without --session, a session is created for the command and deleted after it.

Exit codes: that of the command; 1 when the UE could not be set up, 2 wrong usage.

Examples:
  sluice gnb exec -- ping -c 3 10.60.0.1
  sluice gnb exec --session ue1 -- curl http://10.60.0.1:8000/
  sluice gnb exec --session ue1 -- bash`,
    )
    .action(async (command: string[], _: unknown, own: Command) => {
      const options = own.optsWithGlobals<GnbFlags>();
      process.exitCode = await withClient(options, (client) => execute(client, command, options));
    });
}

function gnbOptions(options: GnbFlags): { bind?: string; mtu: number } {
  const mtu =
    options.mtu === undefined ? DEFAULT_UE_MTU : parseInteger(options.mtu, '--mtu', 1280, 9000);
  return options.bind === undefined ? { mtu } : { bind: options.bind, mtu };
}

async function execute(client: ApiClient, command: string[], options: GnbFlags): Promise<number> {
  const names = options.session ?? [];
  if (names.length > 1) throw usageError('a command runs as one UE: give one --session');
  // Asked before anything is created on the core's side.
  if (process.getuid?.() !== 0) {
    throw new ToolError('UEs live in network namespaces, which need root: run it with sudo');
  }
  const signals = holdSignals();
  if (names.length === 1) return runAsUe(await lookUp(client, names), command, options, signals);
  const name = `gnb-demo-${process.pid}`;
  const demo = await createDemo(client, name, options.bind ?? DEFAULT_GNB_ADDRESS);
  try {
    return await runAsUe([demo], command, options, signals);
  } finally {
    await client.call('SessionService', 'DeleteSession', { name });
  }
}

/** From here on Ctrl-C ends the process only after what was made has been taken down. */
function holdSignals(): { received: boolean } {
  const signals = { received: false };
  const hold = (): void => {
    signals.received = true;
  };
  process.on('SIGINT', hold);
  process.on('SIGTERM', hold);
  return signals;
}

async function runAsUe(
  sessions: readonly UeSession[],
  command: string[],
  options: GnbFlags,
  signals: { readonly received: boolean },
): Promise<number> {
  const gnb = await Gnb.withUes(sessions, gnbOptions(options));
  try {
    if (!(await gnb.upfAnswers())) warnSilentUpf(sessions);
    if (signals.received) return EXIT_INTERRUPTED;
    return await runInNamespace(gnb.namespaces[0]?.name ?? '', command);
  } finally {
    await gnb.stop();
  }
}

function warnSilentUpf(sessions: readonly UeSession[]): void {
  const addresses = [...new Set(sessions.map((session) => session.upfAddress))].join(', ');
  process.stderr.write(`sluice: the UPF at ${addresses} does not answer GTP-U Echo\n`);
}

async function serveUes(sessions: readonly UeSession[], options: GnbFlags): Promise<void> {
  const gnb = await Gnb.withUes(sessions, gnbOptions(options));
  try {
    if (!(await gnb.upfAnswers())) warnSilentUpf(sessions);
    for (const [i, session] of sessions.entries()) {
      const addresses = [session.ipv4, session.ipv6].filter((text) => text !== '').join(' ');
      printLine(`${session.name}: ${addresses} in namespace ${gnb.namespaces[i]?.name}`);
    }
    printLine(`ready: gNB at ${gnb.bind}, ${sessions.length} UEs; Ctrl-C ends it`);
    await interrupted();
    printLine(countersText(gnb.counters()));
  } finally {
    await gnb.stop();
  }
}

/** Resolves at SIGINT or SIGTERM. Neither the native thread nor a signal keeps Node alive. */
function interrupted(): Promise<void> {
  const alive = setInterval(() => {}, 60_000);
  return new Promise((resolve) => {
    const end = (): void => {
      clearInterval(alive);
      resolve();
    };
    process.once('SIGINT', end);
    process.once('SIGTERM', end);
  });
}

/** What a gNB has moved; odd things are shown only when they happened. */
export function countersText(counters: GnbCounters): string {
  const odd = (count: number): string | undefined => (count === 0 ? undefined : grouped(count));
  return fields([
    [
      'uplink',
      `${grouped(counters.uplinkPackets)} packets, ${grouped(counters.uplinkBytes)} bytes`,
    ],
    [
      'downlink',
      `${grouped(counters.downlinkPackets)} packets, ${grouped(counters.downlinkBytes)} bytes`,
    ],
    ['echo answered', odd(counters.echoRequests)],
    ['end markers', odd(counters.endMarkers)],
    ['error indications', odd(counters.errorIndications)],
    ['unknown TEID', odd(counters.unknownTeid)],
    ['malformed', odd(counters.malformed)],
    ['wrong container', odd(counters.wrongContainer)],
    ['not sent', odd(counters.sendFailed)],
    ['too large', odd(counters.uplinkRefused)],
  ]);
}
