/** `sluice session watch`: reports as they come, over the end and the return of a node. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import type { Command } from 'commander';
import { ToolError, usageError } from '../../tools/tool-error.js';
import { type ApiClient, type ApiOptions, NodeUnavailable } from '../api/client.js';
import type { Node, Report } from '../api/messages.js';
import { milliseconds } from '../api/proto-json.js';
import { withClient } from '../api/with-client.js';
import { printLine } from '../print.js';
import { parseInteger } from '../units.js';
import { reportLine } from './view.js';

const RETRY_MS = 1000;
/** How the end of a node looks: in order, or with its connections cut. */
const BROKEN = [grpc.status.UNAVAILABLE, grpc.status.CANCELLED];
/** For the last acknowledgement to leave before the call is ended. */
const LINGER_MS = 100;
/** Names that are looked up first, to say which of them have no session yet. */
const LOOKED_UP_MAX = 20;

interface WatchOptions extends ApiOptions {
  cursor?: string;
  count?: string;
  acknowledge: boolean;
  reconnect: boolean;
  json?: boolean;
}

export function addWatch(parent: Command): void {
  parent
    .command('watch [names...]')
    .description('print reports (usage, downlink data, errors) as they come, and acknowledge them')
    .option('--cursor <cursor>', 'begin behind this report; by default with the oldest kept')
    .option('--count <n>', 'end after this many reports')
    .option('--no-acknowledge', 'only look: the reports are offered again to the next watcher')
    .option('--no-reconnect', 'fail when the node goes away, instead of waiting for it')
    .addHelpText(
      'after',
      `
Without names, reports of all sessions are shown. A report is kept until it is acknowledged,
which happens as soon as it is printed; what nobody has acknowledged is offered again, to this
watcher or the next one. Several watchers may look at once: each sees every report of the
sessions it names, and what one acknowledges is done with for all that come later.

When the node goes away, watch says so on standard error, waits, and goes on behind the last
report it has printed, so that none is printed twice and none is left out. Each report has a
cursor (see --json), and --cursor begins behind it; without acknowledging, the last one is
named at the end.

Exit codes: 0 ended by --count or Ctrl-C, 1 failed, 2 wrong usage.

Examples:
  sluice session watch
  sluice session watch ue1 --json --count 1
  sluice session watch --no-acknowledge --cursor 5f3a9c01.17`,
    )
    .action(async (names: string[], _: unknown, own: Command) => {
      await new Watch(names, own.optsWithGlobals<WatchOptions>()).run();
    });
}

/** One run of the command, over any number of connections. */
class Watch {
  readonly #quit = new AbortController();
  #left: number;
  /** Of the last report that was printed, or where to begin. */
  #cursor: string;
  /** Of the last report that was acknowledged, however far that came; '': none. */
  #acknowledged = '';
  #startMs: number | undefined;

  constructor(
    private readonly names: readonly string[],
    private readonly options: WatchOptions,
  ) {
    const { count, cursor = '' } = options;
    this.#left = count === undefined ? Infinity : parseInteger(count, '--count', 1, 1e9);
    if (cursor !== '' && !/^[0-9a-f]+\.\d+$/.test(cursor)) {
      throw usageError(
        `--cursor: "${cursor}" is no cursor; take one from "cursor" in the output of --json`,
      );
    }
    this.#cursor = cursor;
  }

  async run(): Promise<void> {
    const quit = (): void => this.#quit.abort();
    process.once('SIGINT', quit);
    process.once('SIGTERM', quit);
    try {
      // A node that isn't there from the start is an error at once.
      await this.#connect(true);
      while (!this.#ended) {
        await sleep(RETRY_MS, undefined, { signal: this.#quit.signal }).catch(() => undefined);
        if (!this.#ended) await this.#connect(false);
      }
    } finally {
      process.off('SIGINT', quit);
      process.off('SIGTERM', quit);
    }
    const { acknowledge, json } = this.options;
    if (acknowledge || this.#cursor === '' || json === true) return;
    say(`nothing was acknowledged; --cursor ${this.#cursor} goes on behind the last report`);
  }

  get #ended(): boolean {
    return this.#left === 0 || this.#quit.signal.aborted;
  }

  /** From one connection to its end; throws what a further attempt would not change. */
  async #connect(first: boolean): Promise<void> {
    try {
      await withClient(this.options, async (client) => {
        const node = await client.call<Node>('NodeService', 'GetNode', {});
        if (first) await this.#greet(client);
        else this.#sayBack(node);
        this.#startMs = milliseconds(node.start_time);
        await this.#stream(client);
      });
    } catch (error) {
      if (error instanceof Gone && this.options.reconnect) {
        say(`${error.message}; waiting for it, Ctrl-C ends this`);
      } else if (first || !(error instanceof NodeUnavailable)) {
        throw error;
      }
    }
  }

  /** Tells a person at a terminal what is going on before the first report. */
  async #greet(client: ApiClient): Promise<void> {
    for (const name of this.names.slice(0, LOOKED_UP_MAX)) {
      try {
        await client.call('SessionService', 'GetSession', { name });
      } catch (error) {
        if (error instanceof NodeUnavailable) throw error;
        say(`there is no session "${name}" yet; its reports are shown once there is one`);
      }
    }
    if (process.stderr.isTTY === true) say('waiting for reports; Ctrl-C ends this');
  }

  #sayBack(node: Node): void {
    const restarted = milliseconds(node.start_time) !== this.#startMs;
    const what = restarted ? 'the node was restarted' : 'the node answers again';
    const where = this.#cursor === '' ? 'from the oldest report' : 'behind the last report';
    say(`${what}; going on ${where}`);
  }

  #stream(client: ApiClient): Promise<void> {
    const { acknowledge, json } = this.options;
    const stream = client.duplex('SessionService', 'WatchReports');
    // An acknowledgement that was under way when the connection broke is repeated.
    const done = this.#acknowledged;
    stream.write({ cursor: this.#cursor, names: this.names, acknowledge: done });
    return new Promise((resolve, reject) => {
      // The server keeps a half-closed stream open to send more: it is ended from this side.
      const finish = (): void => {
        stream.end(() => setTimeout(() => stream.cancel(), LINGER_MS));
      };
      this.#quit.signal.addEventListener('abort', finish, { once: true });
      stream.on('data', (report: Report) => {
        if (this.#ended) return;
        printLine(json === true ? lineOf(client, report) : reportLine(report));
        this.#cursor = report.cursor ?? '';
        if (acknowledge) {
          this.#acknowledged = this.#cursor;
          stream.write({ acknowledge: this.#cursor });
        }
        this.#left -= 1;
        if (this.#left === 0) finish();
      });
      const settle = (error: Error): void => {
        this.#quit.signal.removeEventListener('abort', finish);
        if (this.#ended) resolve();
        else reject(error);
      };
      stream.on('end', () => settle(new Gone(`the node at ${client.address} ended the reports`)));
      stream.on('error', (error: grpc.ServiceError) => {
        settle(
          BROKEN.includes(error.code)
            ? new Gone(`the node at ${client.address} went away`)
            : client.toToolError(error),
        );
      });
    });
  }
}

/** The stream of reports broke off; another attempt may go well. */
class Gone extends ToolError {}

function lineOf(client: ApiClient, report: Report): string {
  return JSON.stringify(client.json.toJson('Report', report));
}

/** Beside the reports, so that these can be piped. */
function say(text: string): void {
  process.stderr.write(`sluice: ${text}\n`);
}
