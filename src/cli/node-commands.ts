/** `sluice node` and `sluice stats`: the state of the UPF and where its packets went. */
import type { Command } from 'commander';
import { type PacketCounts, packetCounts } from '../tools/packet-counts.js';
import { usageError } from '../tools/tool-error.js';
import type { ApiClient, ApiOptions } from './api/client.js';
import type { Node, Placement, PortStats, Stats } from './api/messages.js';
import { formatTimestamp, milliseconds } from './api/proto-json.js';
import { withClient } from './api/with-client.js';
import { fields, grouped, printJson, printLine, table } from './print.js';
import { formatRate, parseInteger, parseSeconds } from './units.js';

interface Output extends ApiOptions {
  json?: boolean;
}

export function addNodeCommands(program: Command): void {
  program
    .command('node')
    .description('show the node: version, ports, workers, warnings')
    .option('--plan', 'show what runs on which core, and where packet memory is')
    .addHelpText('after', '\nExamples:\n  sluice node\n  sluice node --plan\n  sluice node --json')
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output & { plan?: boolean }>();
      await withClient(options, async (client) => {
        const node = await client.call<Node>('NodeService', 'GetNode', {});
        if (options.json === true) printJson(client.json.toJson('Node', node));
        else printLine(options.plan === true ? planText(node) : nodeText(node));
      });
    });
  program
    .command('stats')
    .description('show where packets went: ports, drop reasons, workers')
    .option('--watch [interval]', 'print rates again and again, every second or interval')
    .option('--count <n>', 'with --watch: end after this many lines')
    .addHelpText(
      'after',
      `
Every packet is accounted for: received + created = sent + held + dropped.
With --json: {"rx", "created", "tx": {port: n}, "held", "dropped": {reason: n}, "sessions",
"ports", "workers"}; with --watch, one such object a line.

Examples:
  sluice stats
  sluice stats --watch 500ms
  sluice stats --json | jq .dropped`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<StatsOptions>();
      if (options.count !== undefined && options.watch === undefined) {
        throw usageError('--count goes with --watch');
      }
      await withClient(options, async (client) => {
        if (options.watch !== undefined) return watchStats(client, options);
        const stats = await client.call<Stats>('NodeService', 'GetStats', {});
        if (options.json === true) printJson(statsJson(client, stats));
        else printLine(statsText(stats));
        return undefined;
      });
    });
}

interface StatsOptions extends Output {
  watch?: string | boolean;
  count?: string;
}

export function nodeText(node: Node): string {
  const parts = [
    fields([
      ['node', node.id],
      ['version', node.version],
      ['started', node.start_time === undefined ? undefined : formatTimestamp(node.start_time)],
      ['sessions', grouped(node.sessions)],
      ['packet path', node.path_tier],
      ['crypto', [node.crypto_tier, lanesText(node.crypto_lanes)].join(', ')],
    ]),
    table(
      ['port', 'driver', 'state', 'addresses', 'capabilities'],
      (node.ports ?? []).map((port) => [
        port.name ?? '',
        port.driver ?? '',
        port.state ?? '',
        (port.addresses ?? []).join(' '),
        Object.entries(port.capabilities ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(' '),
      ]),
    ),
    table(
      ['worker', 'core', 'numa', 'poll', 'queues'],
      (node.workers ?? []).map((worker) => [
        String(worker.id ?? 0),
        String(worker.core ?? 0),
        String(worker.numa_node ?? 0),
        worker.poll ?? '',
        (worker.queues ?? []).join(' '),
      ]),
    ),
    ...peersText(node),
    ...(node.warnings ?? []).map((warning) => `warning: ${warning}`),
  ];
  return parts.join('\n\n');
}

/** Cores by NUMA node with what runs on them, and memory. */
export function planText({ workers = [], ports = [], placement = {}, crypto_lanes }: Node): string {
  const driverOf = new Map(
    ports.map(({ name, driver, capabilities }) => [name, capabilities?.device ?? driver]),
  );
  const rows = workers
    .map((worker) => ({ node: worker.numa_node ?? 0, core: worker.core ?? 0, worker }))
    .sort((a, b) => a.node - b.node || a.core - b.core)
    .map(({ node, core, worker }) => [
      String(node),
      String(core),
      `worker ${worker.id ?? 0}`,
      worker.poll ?? '',
      (worker.queues ?? [])
        .map((queue) => `${queue} (${driverOf.get(queue.split('/')[0]) ?? ''})`)
        .join(' '),
    ]);
  const { control_cores = [], memory_pages = '', memory_bytes = 0 } = placement;
  return [
    table(['node', 'core', 'runs', 'poll', 'queues'], rows),
    fields([
      [
        'control plane',
        control_cores.length === 0 ? 'any core' : `core ${control_cores.join(', ')}`,
      ],
      ['SM4', lanesText(crypto_lanes)],
      [
        'packet memory',
        `${grouped(Math.round(Number(memory_bytes) / 1e6))} MB, ${memory_pages} pages`,
      ],
      ['is on', pagesText(placement.packet_pages ?? [])],
    ]),
  ].join('\n\n');
}

/** "inline", or "1 of 3 lane threads on core 4, 5, 6" */
function lanesText({ lanes = 0, threads = 0, cores = [] }: NonNullable<Node['crypto_lanes']> = {}) {
  if (lanes === 0) return 'inline';
  const place = cores.length === 0 ? 'any core' : `core ${cores.join(', ')}`;
  return `${threads} of ${lanes} lane threads on ${place}`;
}

/** "node 0 (256 of 256 pages looked at)" */
function pagesText(nodes: NonNullable<Placement['packet_pages']>): string {
  const all = nodes.reduce((sum, { pages = 0 }) => sum + pages, 0);
  if (all === 0) return 'unknown: the kernel does not tell';
  return nodes
    .map(({ numa_node = 0, pages = 0 }) => `node ${numa_node} (${pages} of ${all} pages looked at)`)
    .join(', ');
}

/** Tunnel peers, if there are any. */
function peersText({ peers = [], peers_total = 0 }: Node): string[] {
  if (peers.length === 0) return [];
  const rows = peers.map((peer) => [
    `${peer.address ?? ''}${peer.udp_port === 2152 ? '' : ` port ${peer.udp_port ?? 0}`}`,
    peer.port ?? '',
    peer.state ?? '',
    peer.state === 'up' ? `${((peer.round_trip_us ?? 0) / 1000).toFixed(3)} ms` : '',
    String(peer.transitions ?? 0),
  ]);
  const listed = table(['peer', 'port', 'state', 'round trip', 'changes'], rows);
  const more = Number(peers_total) - peers.length;
  return more > 0 ? [listed, `and ${more} more`] : [listed];
}

/** The shared packet account of a Stats message. */
export function countsOf(stats: Stats): PacketCounts {
  return packetCounts({
    ports: (stats.ports ?? []).map((port) => ({
      name: port.name ?? '',
      rxPackets: Number(port.rx_packets ?? 0),
      txPackets: Number(port.tx_packets ?? 0),
    })),
    dropped: Object.fromEntries(
      Object.entries(stats.dropped ?? {}).map(([reason, count]) => [reason, Number(count)]),
    ),
    created: Number(stats.created ?? 0),
    held: Number(stats.held ?? 0),
  });
}

function statsJson(client: ApiClient, stats: Stats): object {
  const { ports = [], workers = [], time } = stats;
  return {
    ...countsOf(stats),
    time: formatTimestamp(time),
    sessions: Number(stats.sessions ?? 0),
    ports: ports.map((port) => client.json.toJson('PortStats', port)),
    workers: workers.map((worker) => client.json.toJson('WorkerStats', worker)),
  };
}

/** The account as people read it; also what `replay` prints. */
export function countsText(counts: PacketCounts): string {
  const rows: [string, string][] = [['received', grouped(counts.rx)]];
  if (counts.created > 0) rows.push(['created here', grouped(counts.created)]);
  for (const [port, count] of Object.entries(counts.tx))
    rows.push([`sent on ${port}`, grouped(count)]);
  if (counts.held > 0) rows.push(['held', grouped(counts.held)]);
  for (const [reason, count] of Object.entries(counts.dropped)) {
    rows.push([`dropped: ${reason}`, grouped(count)]);
  }
  return table(['what', 'packets'], rows);
}

export function statsText(stats: Stats): string {
  const ports = table(
    ['port', 'rx packets', 'rx bytes', 'rx missed', 'tx packets', 'tx bytes', 'tx full'],
    (stats.ports ?? []).map((port) => [
      port.name ?? '',
      grouped(port.rx_packets),
      grouped(port.rx_bytes),
      grouped(port.rx_missed),
      grouped(port.tx_packets),
      grouped(port.tx_bytes),
      grouped(port.tx_full),
    ]),
  );
  const workers = table(
    ['worker', 'cycles/packet', 'burst', 'longest stall', 'busy', 'buckets'],
    (stats.workers ?? []).map((worker) => [
      String(worker.id ?? 0),
      (worker.cycles_per_packet ?? 0).toFixed(0),
      (worker.burst_fill ?? 0).toFixed(1),
      `${(Number(worker.longest_stall_ns ?? 0) / 1e6).toFixed(3)} ms`,
      `${((worker.busy ?? 0) * 100).toFixed(1)}%`,
      String(worker.buckets ?? 0),
    ]),
  );
  const sessions = `sessions  ${grouped(stats.sessions)}`;
  return [sessions, countsText(countsOf(stats)), ports, workers].join('\n\n');
}

function watchStats(client: ApiClient, options: StatsOptions): Promise<void> {
  const text = typeof options.watch === 'string' ? options.watch : '1s';
  const seconds = parseSeconds(text, '--watch');
  if (seconds < 0.01) throw usageError('--watch: at least 10ms');
  const whole = Math.floor(seconds);
  const interval = { seconds: whole, nanos: Math.round((seconds - whole) * 1e9) };
  const stream = client.serverStream('NodeService', 'WatchStats', { interval });
  let before: Stats | undefined;
  const { count } = options;
  let left = count === undefined ? Infinity : parseInteger(count, '--count', 1, 1e9);
  return new Promise((resolve, reject) => {
    let done = false;
    const finish = (): void => {
      done = true;
      stream.cancel();
    };
    process.once('SIGINT', finish);
    process.once('SIGTERM', finish);
    stream.on('data', (stats: Stats) => {
      if (done) return;
      if (options.json === true) printLine(JSON.stringify(statsJson(client, stats)));
      else if (before !== undefined) printLine(rateLine(before, stats));
      if (options.json === true || before !== undefined) left -= 1;
      before = stats;
      if (left <= 0) finish();
    });
    stream.on('end', resolve);
    stream.on('error', (error) => {
      if (done) resolve();
      else reject(client.toToolError(error as never));
    });
  });
}

/** One line of `stats --watch`: rates of each port between two readings. */
export function rateLine(before: Stats, after: Stats): string {
  const seconds = Math.max(0.001, (milliseconds(after.time) - milliseconds(before.time)) / 1000);
  const rate = (name: keyof PortStats, port: PortStats): number => {
    const old = (before.ports ?? []).find((candidate) => candidate.name === port.name);
    return (Number(port[name] ?? 0) - Number(old?.[name] ?? 0)) / seconds;
  };
  const ports = (after.ports ?? []).map((port) => {
    const direction = (way: 'rx' | 'tx') =>
      `${way} ${grouped(Math.round(rate(`${way}_packets`, port)))} pps ` +
      formatRate((rate(`${way}_bytes`, port) * 8) / 1000);
    return `${port.name}: ${direction('rx')}, ${direction('tx')}`;
  });
  const lost = (stats: Stats) =>
    Object.values(countsOf(stats).dropped).reduce((sum, count) => sum + count, 0);
  const dropped = Math.round((lost(after) - lost(before)) / seconds);
  const time = formatTimestamp(after.time).slice(11, 19);
  return `${time}  ${ports.join('  ')}  dropped ${grouped(dropped)} pps`;
}
