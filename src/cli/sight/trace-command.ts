/**
 * `sluice trace`: what the packet path would do with a packet, and why. One folder for the
 * commands that look at packets; one thread, that of the process. Start at addTraceCommand().
 */
import { type Command, Option } from 'commander';
import { usageError } from '../../tools/tool-error.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import type { Node, Session, TraceResponse } from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { ueSessionOf } from '../gnb/ue-sessions.js';
import { printJson, printLine, table } from '../print.js';
import { parseInteger } from '../units.js';
import { formatIp, parseEndpoint } from './addresses.js';
import { decodeHeaders } from './headers.js';
import { buildInner, gtpuDestination, type Protocol, parseHex, wrap } from './packet.js';

interface TraceFlags extends ApiOptions {
  hex?: string;
  pcap?: string;
  frame?: string;
  port?: string;
  session?: string;
  to?: string;
  from?: string;
  ue?: string;
  uePort?: string;
  bytes?: string;
  qfi?: string;
  tos?: string;
  json?: boolean;
}
type Way = 'uplink' | 'downlink';

const BYTES_DEFAULT = 100;
const UE_PORT_DEFAULT = 40_000;
const KERNELS_HEADERS =
  'driver socket: the kernel sends outer IPv4 without DF, and outer UDP with a checksum';
const PROTOCOLS = ['udp', 'tcp', 'icmp'];

export function addTraceCommand(program: Command): void {
  program
    .command('trace [way] [protocol]')
    .description('say stage by stage what would happen to a packet, and why; nothing is sent')
    .option('--session <name>', 'the session whose UE sends or receives it')
    .option('--to <address>', 'uplink: destination, with its port: 203.0.113.9:443')
    .option('--from <address>', 'downlink: source, with its port')
    .option('--ue <address>', 'address of the UE (default: that of the session)')
    .option('--ue-port <port>', `port of the UE (default: ${UE_PORT_DEFAULT})`)
    .option('--bytes <n>', `size of the UE's IP packet (default: ${BYTES_DEFAULT})`)
    .addOption(
      new Option('--qfi <qfi>', 'uplink: QoS flow, 0 to 63, or none (default: the session’s)'),
    )
    .option('--tos <tos>', 'type of service or traffic class, 0 to 255')
    .option('--hex <bytes>', 'a packet as hexadecimal text, from its IP or Ethernet header on')
    .option('--pcap <file>', 'a packet of a capture file')
    .option('--frame <n>', 'which frame of it, from 1 (default: 1)')
    .option('--port <name>', 'port that receives it (default: by what the packet is)')
    .addHelpText(
      'after',
      `
The packet goes through the very code of the packet path, on the session's own rules, tokens
and counters, which are put back afterwards: nothing is sent, counted or held.

Examples:
  sluice trace uplink udp --session ue1 --to 203.0.113.9:443 --bytes 1400 --qfi 9
  sluice trace downlink tcp --session ue1 --from 203.0.113.9:443
  sluice trace uplink icmp --session ue1 --to 10.60.0.1 --json
  sluice trace --pcap n3.pcapng --frame 12
  sluice trace --hex "45000054..." --port n6`,
    )
    .action(
      async (way: string | undefined, protocol: string | undefined, _: unknown, own: Command) => {
        const options = own.optsWithGlobals<TraceFlags>();
        const source = sourceOf(way, protocol, options);
        await withClient(options, async (client) => {
          const request = await source(client);
          const reply = await client.call<TraceResponse>('NodeService', 'Trace', request);
          if (options.json === true) printJson(client.json.toJson('TraceResponse', reply));
          else printLine(traceText(reply, await socketPorts(client)));
        });
      },
    );
}

interface TraceRequest {
  packet: Uint8Array;
  port: string;
}
type Source = (client: ApiClient) => Promise<TraceRequest>;

const BUILT = ['session', 'to', 'from', 'ue', 'uePort', 'bytes', 'qfi', 'tos'] as const;

/** Where the packet comes from; everything that can be wrong in the flags is said here. */
function sourceOf(way: string | undefined, protocol: string | undefined, f: TraceFlags): Source {
  const given = [way, f.hex, f.pcap].filter((value) => value !== undefined).length;
  if (given !== 1) throw usageError('give one of: uplink or downlink, --hex, --pcap');
  if (f.frame !== undefined && f.pcap === undefined) throw usageError('--frame goes with --pcap');
  if (way === undefined) {
    const extra = BUILT.find((flag) => f[flag] !== undefined);
    if (extra !== undefined) {
      throw usageError(`--${extra === 'uePort' ? 'ue-port' : extra} goes with uplink or downlink`);
    }
    const frame = parseInteger(f.frame ?? '1', '--frame', 1, 2 ** 32 - 1);
    const packet = f.hex === undefined ? undefined : parseHex(f.hex, '--hex');
    return async (client) =>
      received(client, packet ?? (await capturedPacket(f.pcap ?? '', frame)), f.port);
  }
  if (way !== 'uplink' && way !== 'downlink') {
    throw usageError(`"${way}" is neither uplink nor downlink`);
  }
  if (protocol === undefined || !PROTOCOLS.includes(protocol)) {
    throw usageError(`name the protocol behind ${way}: ${PROTOCOLS.join(', ')}`);
  }
  return built(way, protocol as Protocol, f);
}

/** The addon is loaded on demand: nothing else here needs the native part. */
async function capturedPacket(file: string, frame: number): Promise<Uint8Array> {
  const { readCapturedPacket } = await import('../../tools/replay/capture-addon.js');
  return readCapturedPacket(file, frame);
}

function built(way: Way, protocol: Protocol, f: TraceFlags): Source {
  const [flag, other] = way === 'uplink' ? (['to', 'from'] as const) : (['from', 'to'] as const);
  const { session } = f;
  if (session === undefined) throw usageError('name the session: --session NAME');
  if (f[other] !== undefined) throw usageError(`--${other} goes with the other direction`);
  const text = f[flag];
  if (text === undefined) throw usageError(`give the far end: --${flag} ADDRESS:PORT`);
  if (way === 'downlink' && f.qfi !== undefined) throw usageError('--qfi goes with uplink');
  const remote = parseEndpoint(text, `--${flag}`, protocol !== 'icmp');
  const ue = f.ue === undefined ? undefined : parseEndpoint(f.ue, '--ue', false).address;
  const uePort = parseInteger(f.uePort ?? String(UE_PORT_DEFAULT), '--ue-port', 1, 65535);
  const bytes = parseInteger(f.bytes ?? String(BYTES_DEFAULT), '--bytes', 28, 2048);
  const tos = parseInteger(f.tos ?? '0', '--tos', 0, 255);
  const qfi = f.qfi === undefined || f.qfi === 'none' ? f.qfi : parseInteger(f.qfi, '--qfi', 0, 63);
  return async (client) => {
    const found = await client.call<Session>('SessionService', 'GetSession', { name: session });
    const known = ueSessionOf(found);
    const own = remote.address.includes(':') ? known.ipv6 : known.ipv4;
    const local = ue ?? own;
    if (local === '') {
      throw usageError(`session ${session} has no address of the IP version of --${flag}`);
    }
    const up = way === 'uplink';
    const packet = buildInner(
      {
        protocol,
        source: up ? local : remote.address,
        destination: up ? remote.address : local,
        sourcePort: up ? uePort : remote.port,
        destinationPort: up ? remote.port : uePort,
        bytes,
        tos,
      },
      '--bytes',
    );
    if (!up) return received(client, packet, f.port);
    const tunnel = {
      source: known.gnbAddress,
      destination: known.upfAddress,
      teid: known.upfTeid,
      qfi: qfi === 'none' ? undefined : (qfi ?? known.qfi),
    };
    return received(client, wrap(packet, tunnel), f.port);
  };
}

/** GTP-U comes in at the port that has its destination; plain IP at one without addresses. */
async function received(
  client: ApiClient,
  packet: Uint8Array,
  port: string | undefined,
): Promise<TraceRequest> {
  if (port !== undefined) return { packet, port };
  const { ports = [] } = await client.call<Node>('NodeService', 'GetNode', {});
  const to = gtpuDestination(packet);
  const address =
    to === undefined
      ? ''
      : formatIp(new DataView(to.buffer, to.byteOffset, to.length), 0, to.length === 4 ? 4 : 16);
  const access = ports.filter(({ addresses = [] }) => addresses.length > 0);
  const found =
    to === undefined
      ? ports.find((candidate) => !access.includes(candidate))
      : (access.find(({ addresses = [] }) => addresses.includes(address)) ?? access[0]);
  if (found?.name !== undefined) return { packet, port: found.name };
  throw usageError('name the port that receives it: --port NAME (see "sluice node")');
}

/** The ports whose outer headers are the kernel's in the end. */
async function socketPorts(client: ApiClient): Promise<ReadonlySet<string>> {
  const { ports = [] } = await client.call<Node>('NodeService', 'GetNode', {});
  const sockets = ports.filter(({ driver }) => driver === 'socket');
  return new Set(sockets.map(({ name = '' }) => name));
}

/** The steps as a table, and each output header by header. */
function traceText(reply: TraceResponse, sockets: ReadonlySet<string>): string {
  const steps = table(
    ['stage', 'decision'],
    (reply.steps ?? []).map((step) => [step.stage ?? '', step.decision ?? '']),
  );
  const why = reply.drop_reason ? `: ${reply.drop_reason}` : '';
  const parts = [steps, `${reply.verdict}${why}`];
  for (const { port, packet = new Uint8Array() } of reply.outputs ?? []) {
    const lines = decodeHeaders(packet).map(({ name, text }) => [name, text]);
    const kernels = sockets.has(port ?? '') && lines[0]?.[0] === 'outer IPv4';
    parts.push(
      `out on ${port}, ${packet.length} bytes\n${kernels ? `${KERNELS_HEADERS}\n` : ''}` +
        table(['header', 'fields'], lines),
    );
  }
  return parts.join('\n\n');
}
