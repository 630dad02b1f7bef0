/**
 * `sluice top`: what the node does right now. rates.ts says what a refresh is made of,
 * screen.ts how it looks, terminal.ts how it comes onto a terminal. One thread.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ToolError } from '../../tools/tool-error.js';
import { usageError } from '../../tools/tool-error.js';
import { ApiClient, type ApiOptions } from '../api/client.js';
import type { Node, Stats } from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { printLine } from '../print.js';
import { parseInteger, parseSeconds } from '../units.js';
import { type Snapshot, snapshotOf } from './rates.js';
import { type Line, screenOf, snapshotText } from './screen.js';
import { Terminal } from './terminal.js';

const RETRY_MS = 1000;
const BUSIEST_DEFAULT = '50';

interface TopFlags extends ApiOptions {
  interval: string;
  sessions: string;
  once?: boolean;
  count?: string;
  json?: boolean;
}
interface Plan {
  readonly interval: { readonly seconds: number; readonly nanos: number };
  readonly busiest: number;
}

export function addTopCommand(program: Command): void {
  program
    .command('top')
    .description('watch live what the node does: ports, workers, drop reasons, busiest sessions')
    .option('--interval <time>', 'time between two refreshes, 100ms to 1h', '1s')
    .option(
      '--sessions <n>',
      'how many of the busiest sessions to ask for, 0 to 100',
      BUSIEST_DEFAULT,
    )
    .option('--once', 'print one refresh as plain text and end')
    .option('--count <n>', 'print this many refreshes as plain text and end')
    .addHelpText(
      'after',
      `
On a terminal the screen is kept up to date: q or Ctrl-C ends it, Ctrl-Z sets it aside. It fits
80 columns and 24 rows, and uses what more there is. When the node stops, top says so, waits, and
goes on when it is back. NO_COLOR=1 leaves the colours out.

Into a pipe or file, or with --once or --json, one refresh is printed after one interval.

CYCLES/PKT are those of the time stamp counter per packet of the last second, BURST is packets per
burst (32 is full), BUSY the share of time spent on packets, STALL the longest time between two
turns of the worker's loop since the node started, BUCKETS those of the 256 buckets of sessions
that the worker owns. FULL/S are packets for which a port had no room. Figures of sessions are
estimates: while top runs, workers note one packet of each burst, which stands for the others. They
are exact as long as packets come one by one.

With --json: {"time", "node", "version", "up_s", "sessions", "seconds", "held", "ports",
"workers", "dropped", "busiest"}, one object a refresh and line.

Examples:
  sluice top
  sluice top --interval 5s --api unix:/run/sluice.sock
  sluice top --once
  sluice top --json --sessions 3 | jq '.busiest[].name'`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<TopFlags>();
      const plan = planOf(options);
      const text = options.once === true || options.json === true || options.count !== undefined;
      if (text || process.stdout.isTTY !== true) await printSnapshots(options, plan);
      else await new LiveTop(options, plan).run();
    });
}

function planOf(options: TopFlags): Plan {
  const seconds = parseSeconds(options.interval, '--interval');
  if (seconds < 0.1 || seconds > 3600) throw usageError('--interval: from 100ms to 1h');
  const whole = Math.floor(seconds);
  if (options.once === true && options.count !== undefined) {
    throw usageError('--once and --count exclude each other');
  }
  return {
    interval: { seconds: whole, nanos: Math.round((seconds - whole) * 1e9) },
    busiest: parseInteger(options.sessions, '--sessions', 0, 100),
  };
}

async function printSnapshots(options: TopFlags, plan: Plan): Promise<void> {
  let left = options.count === undefined ? 1 : parseInteger(options.count, '--count', 1, 1e9);
  await withClient(options, (client) =>
    follow(client, plan, (snapshot) => {
      printLine(options.json === true ? JSON.stringify(snapshot) : `${snapshotText(snapshot)}\n`);
      left -= 1;
      return left > 0;
    }),
  );
}

/**
 * Calls `show` with each refresh until it returns false. Rejects with a ToolError when the node
 * ends the stream.
 */
async function follow(
  client: ApiClient,
  plan: Plan,
  show: (snapshot: Snapshot) => boolean,
  signal?: AbortSignal,
): Promise<void> {
  const node = await client.call<Node>('NodeService', 'GetNode', {});
  const request = { interval: plan.interval, busiest_sessions: plan.busiest };
  const stream = client.serverStream('NodeService', 'WatchStats', request);
  const end = (): void => stream.cancel();
  signal?.addEventListener('abort', end);
  let before: Stats | undefined;
  let done = false;
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (stats: Stats) => {
        if (!done && before !== undefined && !show(snapshotOf(node, before, stats))) {
          done = true;
          stream.cancel();
        }
        before = stats;
      });
      stream.on('end', resolve);
      stream.on('error', (error) => {
        if (done || signal?.aborted === true) resolve();
        else reject(client.toToolError(error as never));
      });
    });
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

/** The screen; goes on over the end of the node it looks at. */
class LiveTop {
  readonly #quit = new AbortController();
  readonly #terminal = new Terminal({
    onQuit: () => this.#quit.abort(),
    onRedraw: () => this.#draw(),
  });
  #snapshot: Snapshot | undefined;
  #notice: string | undefined;

  constructor(
    private readonly options: TopFlags,
    private readonly plan: Plan,
  ) {}

  /** Rejects with a ToolError when the node is not there from the start. */
  async run(): Promise<void> {
    const client = new ApiClient(this.options);
    try {
      // Asked before the screen changes: the answer to a wrong address is a line, not a screen.
      await client.call<Node>('NodeService', 'GetNode', {});
    } finally {
      client.close();
    }
    this.#notice = 'waiting for the first figures';
    this.#terminal.open();
    this.#draw();
    try {
      while (!this.#quit.signal.aborted) await this.#watch();
    } finally {
      this.#terminal.close();
    }
  }

  /** From one connection to its end. */
  async #watch(): Promise<void> {
    const { signal } = this.#quit;
    try {
      await withClient(this.options, (client) =>
        follow(
          client,
          this.plan,
          (snapshot) => {
            this.#snapshot = snapshot;
            this.#notice = undefined;
            this.#draw();
            return true;
          },
          signal,
        ),
      );
    } catch (error) {
      const since = this.#snapshot?.time.slice(11, 19);
      const when = since === undefined ? '' : ` since ${since}`;
      this.#notice = `no figures${when} (${shortly(error as ToolError)}), trying again; q quits`;
      this.#draw();
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }

  #draw(): void {
    const { size } = this.#terminal;
    this.#terminal.draw(
      this.#snapshot === undefined
        ? waiting(size.rows, this.#notice ?? '')
        : screenOf(this.#snapshot, size, this.#notice),
    );
  }
}

function waiting(rows: number, notice: string): Line[] {
  const line: Line = [{ text: notice, style: 'dim' }];
  return [line, ...Array.from({ length: Math.max(0, rows - 1) }, (): Line => [])];
}

/** The cause in an error that tells it in brackets, or its first words: what fits a line. */
function shortly({ message }: ToolError): string {
  return /\(([^)]+)\)/.exec(message)?.[1] ?? message.split(';')[0]!.slice(0, 40);
}
