/**
 * What DPDK of Debian reaches in the same run, under the names of our own rows with
 * `peer/` and the peer's name in place of the family's first word:
 *
 * peer/rte_ring/{spsc|mpmc}/1core/burst{8|32}   beside ring/…: DPDK's own ring test
 * peer/testpmd/afxdp/loop/{64|1400}B            beside port/afxdp/loop/…: io mode over the ends of a veth pair
 * peer/rte_{mempool|pktmbuf|hash|lpm|acl}/…     beside pool/…, lookup/…: see native/bench/peers
 *
 * The first two need dpdk-dev and librte-net-af-xdp23, and root; the last libdpdk-dev when the
 * bench is built. What is missing is said, and not measured.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runNativeBench } from './process/native-program.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

export const families = ['peer/rte_', 'peer/testpmd/'];

const packages = ['dpdk-dev', 'librte-net-af-xdp23'];
const common = ['--no-pci', '--no-huge', '--no-telemetry', '-l', '0,1', '-m', '512'];
const frameBytes = { '64B': 64 + 14, '1400B': 1400 + 14 };

const tableFamilies = ['mempool', 'pktmbuf', 'hash', 'lpm', 'acl'].map((of) => `peer/rte_${of}/`);
const ringFamily = 'peer/rte_ring/';
const loops = Object.keys(frameBytes).map((frame) => `peer/testpmd/afxdp/loop/${frame}`);
/** Only where DPDK's headers were there when it was built. */
const tables = fileURLToPath(new URL('../../build-bench/sluice_peers', import.meta.url));

export default async function peersBench(report: Report, options: BenchOptions): Promise<void> {
  if (!tableFamilies.some(options.wanted)) {
    // Others are asked for.
  } else if (existsSync(tables)) {
    const args = [
      '--json',
      ...(options.only === '' ? [] : ['--only', options.only]),
      ...(options.quick ? ['--quick'] : []),
    ];
    await runNativeBench(tables, args, undefined, report);
  } else {
    options.say('no tables of peers here: they need apt-get install libdpdk-dev, and a new build');
  }
  if (![ringFamily, ...loops].some(options.wanted)) return;
  const missing = ['dpdk-test', 'dpdk-testpmd'].filter((name) => spawnSync(name, ['-v']).error);
  if (missing.length > 0 || process.getuid?.() !== 0) {
    options.say(`no peers here: they need root and apt-get install ${packages.join(' ')}`);
    return;
  }
  if (options.wanted(ringFamily)) await ring(report, options.quick ? 1 : 5);
  for (const [name, bytes] of Object.entries(frameBytes)) {
    const row = `peer/testpmd/afxdp/loop/${name}`;
    if (options.wanted(row)) await loop(report, row, bytes, options.quick ? 3 : 9);
  }
}

/** The ring test prints the cycles of one call each way, for so many objects. */
async function ring(report: Report, runs: number): Promise<void> {
  const samples = new Map<string, number[]>();
  for (let run = 0; run < runs; run += 1) {
    const text = await output('dpdk-test', common, 'ring_perf_autotest\nquit\n', 120_000);
    const oneCore = text.slice(0, text.indexOf('Testing using two'));
    const line = /legacy APIs: (SP\/SC|MP\/MC): bulk \(size: (8|32)\): ([\d.]+)/g;
    // The first of a kind moves objects, the last of them none.
    const seen = new Set<string>();
    for (const [, kind, size, cycles] of oneCore.matchAll(line)) {
      const name = `peer/rte_ring/${kind === 'SP/SC' ? 'spsc' : 'mpmc'}/1core/burst${size}`;
      if (seen.has(name)) continue;
      seen.add(name);
      samples.set(name, [...(samples.get(name) ?? []), Number(cycles) / Number(size)]);
    }
  }
  if (samples.size === 0) throw new Error('dpdk-test printed no cycles of its ring');
  for (const [name, values] of samples) report(summarize(name, 'cycles/object', values));
}

/** Packets that go round between the two ends, each counted where it arrives. */
async function loop(report: Report, row: string, bytes: number, seconds: number): Promise<void> {
  const testpmd = [
    ...['dpdk-testpmd', ...common, '--vdev', 'net_af_xdp0,iface=end0'],
    ...['--vdev', 'net_af_xdp1,iface=end1', '--', '--forward-mode=io', '--nb-cores=1'],
    ...['--tx-first', '--total-num-mbufs=16384', '--stats-period', '1', '--burst=32'],
    `--txpkts=${bytes}`,
  ];
  const script = `ip link add end0 type veth peer name end1 && ip link set end0 up && ip link set end1 up &&
    sleep 0.3 && exec timeout -s INT ${seconds + 3} ${testpmd.join(' ')}`;
  const text = await output('unshare', ['-n', 'sh', '-c', script], '', (seconds + 20) * 1000);
  const rates = [...text.matchAll(/Rx-pps:\s+(\d+)/g)].map(([, rate]) => Number(rate) / 1000);
  // A line for each end, once a second; the first ones are of the start.
  const both: number[] = [];
  for (let i = 4; i + 1 < rates.length; i += 2) both.push(rates[i]! + rates[i + 1]!);
  if (both.length === 0) throw new Error(`dpdk-testpmd forwarded nothing:\n${text.slice(-1000)}`);
  report(summarize(row, 'kpps', both));
}

/** What a program prints, standard error too; it is ended when it takes too long. */
function output(
  command: string,
  args: readonly string[],
  input: string,
  timeoutMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { timeout: timeoutMs });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
    }
    child.on('error', reject);
    child.on('close', () => resolve(text));
    if (input !== '') child.stdin.end(input);
  });
}
