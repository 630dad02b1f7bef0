/** `sluice n4 trace` and `sluice n4 capture`: PFCP as it comes and goes. */
import type * as grpc from '@grpc/grpc-js';
import type { Command } from 'commander';
import { usageError } from '../../tools/tool-error.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import type { N4TraceChunk, N4TraceMessage } from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { grouped, printLine } from '../print.js';
import {
  CaptureFile,
  checkCaptureFile,
  durationOf,
  receiveCapture,
} from '../sight/capture-command.js';
import { parseCount } from '../units.js';
import { briefText, traceText } from './trace-text.js';

interface Flags extends ApiOptions {
  count?: string;
  time?: string;
  heartbeats?: boolean;
  brief?: boolean;
  json?: boolean;
  write?: string;
}

export function addTraceCommand(n4: Command): void {
  withLimits(n4.command('trace'), 'messages')
    .description('show PFCP messages as they come and go, with all their elements')
    .option('--brief', 'one line a message')
    .addHelpText(
      'after',
      `
"<" came from the peer, ">" went to it. Flags stand as in TS 29.244, octets in hex. When more
comes than can be shown, up to some 2,000 messages a second, the rest is counted as lost; no
session waits for it. Ctrl-C ends it.

Examples:
  sluice n4 trace
  sluice n4 trace smf.example.org --count 10
  sluice n4 trace 10.0.0.2 --heartbeats --brief
  sluice n4 trace --json | jq 'select(.message | test("Establishment"))'`,
    )
    .action(async (peer: string | undefined, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<Flags>();
      const request = requestOf(peer, options);
      await withClient(options, (client) => trace(client, request, options));
    });
}

export function addN4CaptureCommand(n4: Command): void {
  withLimits(n4.command('capture'), 'messages')
    .description('write PFCP messages as they come and go as pcapng')
    .option('-w, --write <file>', 'file to write, or - for stdout')
    .addHelpText(
      'after',
      `
IP and UDP headers are made from the addresses, as the node is given the PFCP alone. What the
reader is too slow for is counted as lost; no session waits for it. Ctrl-C ends it.

Examples:
  sluice n4 capture -w n4.pcapng
  sluice n4 capture smf.example.org --heartbeats --time 1m -w smf.pcapng
  sluice n4 capture -w - | tshark -O pfcp -i -`,
    )
    .action(async (peer: string | undefined, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<Flags>();
      checkCaptureFile(options.write);
      const request = requestOf(peer, options);
      const file = new CaptureFile(options.write ?? '', options.json === true);
      try {
        await withClient(options, (client) => receiveCapture(client, 'N4Service', request, file));
      } finally {
        file.close();
      }
    });
}

function withLimits(command: Command, things: string): Command {
  return command
    .argument('[peer]', 'its Node ID, or an address that it sends from; left out: all')
    .option('--heartbeats', 'heartbeats, too')
    .option('--count <n>', `end after this many ${things}`)
    .option('--time <time>', 'end after this time: 10s, 5m');
}

function requestOf(peer: string | undefined, { count, time, heartbeats }: Flags): object {
  const request: Record<string, unknown> = { peer: peer ?? '', heartbeats: heartbeats === true };
  if (count !== undefined) {
    const most = parseCount(count, '--count');
    if (most < 1) throw usageError('--count: at least 1');
    request.max_messages = String(most);
  }
  if (time !== undefined) request.max_time = durationOf(time);
  return request;
}

async function trace(client: ApiClient, request: object, options: Flags): Promise<void> {
  const stream = client.serverStream('N4Service', 'Trace', request);
  let lost = '0';
  let open = true;
  const stop = (): void => {
    open = false;
    stream.cancel();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  process.stdout.once('error', stop);
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: N4TraceChunk) => {
        lost = String(chunk.lost ?? lost);
        if (open) for (const message of chunk.messages ?? []) show(client, message, options);
      });
      stream.on('end', resolve);
      stream.on('error', (error: grpc.ServiceError) => {
        if (open) reject(client.toToolError(error));
        else resolve();
      });
    });
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    process.stdout.off('error', stop);
  }
  if (lost !== '0') process.stderr.write(`${grouped(lost)} messages lost\n`);
}

function show(client: ApiClient, message: N4TraceMessage, { json, brief }: Flags): void {
  if (json === true) {
    const plain = client.json.toJson('N4TraceMessage', message) as object;
    const elements: unknown = JSON.parse(message.elements ?? '{}');
    process.stdout.write(`${JSON.stringify({ ...plain, elements })}\n`);
  } else {
    printLine(brief === true ? briefText(message) : `${traceText(message)}\n`);
  }
}
