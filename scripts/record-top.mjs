// npm run record:top: writes docs/top.svg, a picture of `sluice top` that is what it really
// wrote: a node is started, sessions are made and loaded on the loopback interface, some beyond
// their bit rate, and top runs on a terminal of its own. As root (N6 is a TUN device).
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './lib/process.mjs';
import { main, StepError, say } from './lib/progress.mjs';
import { buildProduct, setUp } from './lib/setup.mjs';
import { lastScreen, terminalSvg } from './terminal-svg.mjs';

const SIZE = { columns: 84, rows: 25 };
const N3 = '127.0.0.41';
const ECHO = { address: '10.77.0.1', port: 7007 };
/** Who sends what: the sessions of one gNB take turns. */
const GNBS = [
  { gnb: '127.0.0.42', ues: ['imsi-001010000000001'], pps: 1500, size: 1400, mbr: [] },
  {
    gnb: '127.0.0.43',
    ues: ['imsi-001010000000002', 'imsi-001010000000003'],
    pps: 1600,
    size: 800,
    mbr: [],
  },
  {
    gnb: '127.0.0.44',
    ues: ['imsi-001010000000004'],
    pps: 900,
    size: 1000,
    mbr: ['--mbr-ul', '4M'],
  },
  { gnb: '127.0.0.45', ues: ['car-17', 'car-18', 'meter-4711'], pps: 300, size: 120, mbr: [] },
];
const LOAD_SECONDS = 60;
const WATCH_MS = 12_000;

const folder = mkdtempSync(join(tmpdir(), 'sluice-top-'));
const api = `unix:${join(folder, 'api.sock')}`;
const children = [];

function start(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'], ...options });
  children.push(child);
  const started = { child, out: '', err: '' };
  child.stdout.on('data', (text) => (started.out += text));
  child.stderr.on('data', (text) => (started.err += text));
  started.ended = new Promise((resolve) => child.on('close', resolve));
  return started;
}

const sluice = (...args) => start(join(root, 'bin', 'sluice'), [...args, '--api', api]);

async function run(...args) {
  const { ended, err, ...process_ } = sluice(...args);
  if ((await ended) !== 0) throw new StepError(`sluice ${args.join(' ')}: ${err || process_.err}`);
}

async function startNode() {
  const config = join(folder, 'sluice.yaml');
  writeFileSync(
    config,
    `http: { listen: 'unix:${join(folder, 'http.sock')}' }
store: { path: ${join(folder, 'data')} }
limits: { sessions: 10000 }
ports:
  - { name: n3, driver: socket, role: access, addresses: [${N3}] }
  - { name: n6, driver: tun, role: core, device: sltop0, networkInstances: [internet], uePools: [10.77.0.0/16] }
`,
  );
  const node = sluice('serve', '-c', config);
  while (!node.out.includes('ready')) {
    if (node.child.exitCode !== null) throw new StepError(`the node did not start:\n${node.err}`);
    await sleep(100);
  }
  if (!node.out.includes('n6:tun')) throw new StepError('N6 is no TUN device: run it as root');
}

/** What comes up to N6 goes down again, so that the picture has both directions. */
function startEcho() {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(ECHO.port, ECHO.address);
  return socket;
}

async function startLoad() {
  for (const { gnb, ues, mbr } of GNBS) {
    for (const name of ues) {
      await run('session', 'create', '--name', name, '--ue-ip', 'auto', '--gnb', gnb, ...mbr);
    }
  }
  for (const { gnb, ues, pps, size } of GNBS) {
    const what = ['--pps', `${pps}`, '--size', `${size}`, '--time', `${LOAD_SECONDS}s`];
    const where = ['--to', `${ECHO.address}:${ECHO.port}`, '--bind', gnb];
    sluice('gnb', 'load', '--session', ...ues, ...what, ...where);
  }
}

async function record() {
  const command = `stty cols ${SIZE.columns} rows ${SIZE.rows}; exec bin/sluice top --api ${api}`;
  const top = start('script', ['-qfec', command, '/dev/null']);
  await sleep(WATCH_MS);
  top.child.stdin.write('q');
  if ((await top.ended) !== 0) throw new StepError(`top failed:\n${top.out}`);
  return lastScreen(top.out);
}

await main(async () => {
  await setUp(['build']);
  await buildProduct();
  let echo;
  try {
    say('· a node with load');
    await startNode();
    echo = startEcho();
    await startLoad();
    // Until every load generator has come up and rates are steady.
    await sleep(WATCH_MS);
    say('· top');
    const lines = await record();
    const file = join(root, 'docs', 'top.svg');
    writeFileSync(file, terminalSvg(lines, SIZE.columns, 'sluice top'));
    say('✓ docs/top.svg');
    return 0;
  } finally {
    echo?.close();
    for (const child of children.toReversed()) child.kill('SIGTERM');
    await Promise.all(
      children.map(
        (child) => child.exitCode ?? new Promise((resolve) => child.on('close', resolve)),
      ),
    );
    rmSync(folder, { recursive: true, force: true });
  }
});
