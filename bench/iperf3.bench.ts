/**
 * TCP as a user sees it, by iperf3 over veth pairs between network namespaces of the bench's own: gNB and data
 * network at the ends, the UPF between them. Both ends share one core, what is between them has the other.
 *
 * iperf3/tcp/{uplink|downlink}        Gbit/s through `sluice gnb exec`, N3 by socket, N6 by tun
 * peer/iperf3/tcp/{uplink|downlink}   the same ends and wires, and the kernel's own forwarding between them
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { coreSplit } from './process/native-program.js';
import { runOnLoadCore, sluice, startOnLoadCore } from './process/on-load-core.js';
import { SluiceFolder, SluiceProcess } from './process/sluice-process.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';

export const families = ['iperf3/', 'peer/iperf3/'];

const directions = { uplink: [], downlink: ['-R'] };
const [n3, gnb, access] = ['192.0.2.1', '192.0.2.2', '192.0.2.0/24'];
const [n6, server, core] = ['198.51.100.1', '198.51.100.2', '198.51.100.0/24'];
const uePool = '10.60.0.0/16';

export default async function iperf3Bench(report: Report, options: BenchOptions): Promise<void> {
  if (process.getuid?.() !== 0 || spawnSync('iperf3', ['-v']).error !== undefined) {
    options.say('no iperf3 here: it needs root and apt-get install iperf3');
    return;
  }
  const wires = new Wires();
  try {
    wires.make();
    const flags = ['-t', options.quick ? '1' : '5'];
    const runs = options.quick ? 1 : 5;
    if (options.wanted('peer/iperf3/')) {
      await measure('peer/iperf3', [], wires, { report, runs, flags });
    }
    if (options.wanted('iperf3/')) {
      await withUpf(wires, async (api) => {
        const asUe = sluice('gnb', 'exec', '--api', api, '--bind', gnb, '--');
        await measure('iperf3', asUe, wires, { report, runs, flags });
      });
    }
  } finally {
    wires.remove();
  }
}

interface Runs {
  readonly report: Report;
  readonly runs: number;
  readonly flags: readonly string[];
}

async function measure(
  family: string,
  as: readonly string[],
  wires: Wires,
  { report, runs, flags }: Runs,
): Promise<void> {
  const listening = startOnLoadCore(['iperf3', '-s', '--forceflush'], wires.within('dn'));
  const ended = once(listening, 'close');
  try {
    for await (const line of createInterface({ input: listening.stdout })) {
      if (line.includes('listening')) break;
    }
    listening.stdout.resume();
    for (const [direction, way] of Object.entries(directions)) {
      const rates: number[] = [];
      for (let run = 0; run < runs; run++) {
        const client = ['iperf3', '-c', server, '-J', ...flags, ...way];
        const out = JSON.parse(await runOnLoadCore([...as, ...client], wires.within('ran')));
        rates.push(out.end.sum_received.bits_per_second / 1e9);
      }
      report(summarize(`${family}/tcp/${direction}`, 'Gbit/s', rates));
    }
  } finally {
    listening.kill();
    await ended;
  }
}

async function withUpf(wires: Wires, work: (api: string) => Promise<void>): Promise<void> {
  const folder = new SluiceFolder(1_000, {
    n3: `{ name: n3, driver: socket, role: access, addresses: [${n3}], networkInstances: ['*'] }`,
    n6: `{ name: n6, driver: tun, role: core, device: slb0, networkInstances: [internet], uePools: [${uePool}] }`,
  });
  const node = await SluiceProcess.start(folder, [], coreSplit().node, wires.within('upf'));
  try {
    await work(folder.target);
  } finally {
    await node.stop();
    folder.remove();
  }
}

/** Namespaces "ran", "upf" and "dn" in a row; their names carry the process number. */
class Wires {
  readonly #places = ['ran', 'upf', 'dn'] as const;

  make(): void {
    for (const place of this.#places) ip('netns', 'add', this.#name(place));
    this.#join('n3', 'ran', 1600);
    this.#join('n6', 'dn', 1500);
    this.#address('ran', 'n3', gnb);
    this.#address('dn', 'n6', server);
    this.#address('upf', 'n3', n3);
    this.#address('upf', 'n6', n6);
    this.#route('ran', core, n3);
    for (const network of [access, uePool]) this.#route('dn', network, n6);
    const forward = [...this.within('upf'), 'sysctl', '-qw', 'net.ipv4.ip_forward=1'];
    check(forward[0]!, forward.slice(1));
  }

  within(place: string): string[] {
    return ['nsenter', `--net=/run/netns/${this.#name(place)}`];
  }

  remove(): void {
    for (const place of this.#places) spawnSync('ip', ['netns', 'delete', this.#name(place)]);
  }

  #name(place: string): string {
    return `slb-${place}-${process.pid}`;
  }

  #join(device: string, end: string, mtu: number): void {
    const other = ['peer', 'name', device, 'netns', this.#name('upf')];
    ip('link', 'add', 'name', device, 'netns', this.#name(end), 'type', 'veth', ...other);
    for (const place of [end, 'upf']) {
      ip('-n', this.#name(place), 'link', 'set', device, 'mtu', String(mtu), 'up');
      ip('-n', this.#name(place), 'link', 'set', 'lo', 'up');
    }
  }

  #address(place: string, device: string, own: string): void {
    ip('-n', this.#name(place), 'address', 'add', `${own}/24`, 'dev', device);
  }

  #route(place: string, network: string, via: string): void {
    ip('-n', this.#name(place), 'route', 'add', network, 'via', via);
  }
}

function ip(...args: string[]): void {
  check('ip', args);
}

function check(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}
