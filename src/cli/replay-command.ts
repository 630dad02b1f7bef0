/** `sluice replay`: a capture through the whole packet path, offline. */

import { isIP } from 'node:net';
import type { Command } from 'commander';
import type { ReplayResult } from '../tools/replay/replay.js';
import { ToolError, usageError } from '../tools/tool-error.js';
import type { UeSession } from '../tools/ue-session.js';
import { ApiClient, type ApiOptions } from './api/client.js';
import { readMessageFile } from './api/message-file.js';
import type { Session } from './api/messages.js';
import { ueSessionOf } from './gnb/ue-sessions.js';
import { countsText } from './node-commands.js';
import { grouped, printJson, printLine, table } from './print.js';
import { withoutOutputs } from './session/flags.js';

interface ReplayFlags extends ApiOptions {
  sessions: string;
  n3?: string[];
  out?: string;
  wrap?: boolean;
  json?: boolean;
}

export function addReplayCommand(program: Command): void {
  program
    .command('replay <capture>')
    .description('send a capture (pcap, pcapng) through the whole packet path, offline')
    .requiredOption('--sessions <file>', 'sessions in YAML or JSON, as for session create')
    .option('--n3 <address...>', 'N3 addresses of the UPF in the capture')
    .option('--out <file>', 'write what the UPF sent as pcapng, with interfaces n3 and n6')
    .option('--wrap', 'give the conversations of strangers to the sessions')
    .addHelpText(
      'after',
      `
What happens to a frame, in this order:
  - no IP packet in it, or larger than a packet buffer: counted as skipped
  - UDP to port 2152, or sent to an --n3 address: received on n3 as it is; a packet of the
    other direction is then dropped as "not_for_us"
  - its source is the UE address of a session: wrapped into the session's uplink tunnel
    (GTP-U with PDU Session Container and QFI) and received on n3
  - its destination is the UE address of a session: received on n6 as plain IP
  - with --wrap: each conversation (a pair of IP addresses) is given to the next session in
    turn that has an address of its family. The side seen sending first becomes the UE: its
    address is replaced by the session's (IPv6: the upper 64 bits), checksums are corrected,
    what it sends is wrapped, what it is sent is received on n6
  - anything else: received on n6 as it is, and dropped there as "unknown_ue"

Without --n3, the address that most GTP-U packets go to is taken; without GTP-U in the
capture, 192.0.2.1. Time is the capture's: rates and timers see its time stamps. Nothing
touches the network, a running UPF or its data.

Of a capture that ends inside its last record, as a tcpdump that was killed leaves it, the frames
before it are taken.

With --json: the keys of "stats --json" and "capture", which says how the frames came in, and in
"cut_at_byte" where a last record begins that is cut.

Examples:
  sluice replay n3.pcap --sessions sessions.yaml
  sluice replay web.pcapng --sessions sessions.yaml --wrap --out result.pcapng
  sluice replay n3.pcap --sessions sessions.yaml --n3 192.0.2.1 --json`,
    )
    .action(async (capture: string, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<ReplayFlags>();
      const result = await runReplay(capture, options);
      const cutAt = result.capture.cut_at_byte;
      if (cutAt !== undefined) {
        process.stderr.write(
          `sluice: ${capture}: the last record, at byte ${cutAt}, is cut and ignored\n`,
        );
      }
      if (options.json === true) printJson(result);
      else printLine(resultText(result, options.out));
    });
}

async function runReplay(capture: string, options: ReplayFlags): Promise<ReplayResult> {
  for (const address of options.n3 ?? []) {
    if (isIP(address) === 0) throw usageError(`--n3: "${address}" is no IP address`);
  }
  const client = new ApiClient(options);
  const sessions = readMessageFile('Session', options.sessions, client.json).map(withoutOutputs);
  // Loaded on demand: it brings the native packet path, which no other command needs.
  const { replay } = await import('../tools/replay/replay.js');
  return replay({
    input: capture,
    ...(options.out !== undefined && { output: options.out }),
    n3: options.n3 ?? [],
    sessions: sessions.map((session) => client.encode('Session', session)),
    usePools: sessions.some(leavesAddress),
    adopt: options.wrap === true,
    ueSessionOf: (bytes) => wrappable(client.decode<Session>('Session', bytes)),
  });
}

function leavesAddress(session: Session): boolean {
  const addresses = (session.pdrs ?? []).map((pdr) => pdr.pdi?.ue_address);
  return addresses.some((ue) => ue?.ipv4 === 'auto' || ue?.ipv6_prefix === 'auto');
}

/** A session without a tunnel on both sides takes part, but nothing is wrapped into it. */
function wrappable(session: Session): UeSession | undefined {
  try {
    return ueSessionOf(session);
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

function resultText(result: ReplayResult, output: string | undefined): string {
  const { capture } = result;
  const rows: [string, number][] = [
    ['GTP-U as it was', capture.gtpu],
    ['wrapped as uplink', capture.uplink],
    ['taken as downlink', capture.downlink],
    ['of no session', capture.other],
    ...Object.entries(capture.skipped).map(([why, n]): [string, number] => [`skipped: ${why}`, n]),
  ];
  const came = rows.filter(([, count]) => count > 0).map(([what, n]) => [what, grouped(n)]);
  const parts = [
    `UPF at ${result.n3.join(', ')}; ${grouped(capture.frames)} frames in the capture`,
    table(['how they came in', 'frames'], came),
    countsText(result),
  ];
  if (output !== undefined) parts.push(`written to ${output}`);
  return parts.join('\n\n');
}
