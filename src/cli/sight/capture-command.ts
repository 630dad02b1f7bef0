/** `sluice capture`: packets of a session or a port as pcapng, as received and as sent. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type * as grpc from '@grpc/grpc-js';
import type { Command } from 'commander';
import { unwritable } from '../../tools/files.js';
import { usageError } from '../../tools/tool-error.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import type { CaptureChunk } from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { grouped, printJson } from '../print.js';
import { parseCount, parseInteger, parseSeconds } from '../units.js';

interface CaptureFlags extends ApiOptions {
  session?: string;
  port?: string;
  write?: string;
  snap?: string;
  count?: string;
  time?: string;
  drops?: boolean;
  json?: boolean;
}

const PROGRESS_MS = 1000;
const TIME_MAX_S = 24 * 3600;

export function addCaptureCommand(program: Command): void {
  program
    .command('capture')
    .description('write the packets of a session or a port as pcapng')
    .option('--session <name>', 'packets of this session, as received and as sent')
    .option('--port <name>', 'packets of this port, also those that no session owns')
    .option('-w, --write <file>', 'file to write, or - for stdout')
    .option('--snap <bytes>', 'at most this much of each packet, from 64 (default: all)')
    .option('--count <n>', 'end after this many packets')
    .option('--time <time>', 'end after this time: 10s, 5m')
    .option('--drops', 'packets that are dropped, too')
    .addHelpText(
      'after',
      `
Each packet has a comment: the session, the rule that matched, and what became of it. The
file has an interface for every port. Ctrl-C ends it; the file is complete then. Packets that
were not written because the reader or the disk is slow are counted as lost; none is held up.
With --json the counts go to stdout as JSON, unless the packets do.

Examples:
  sluice capture --session ue1 -w ue1.pcapng
  sluice capture --session ue1 --drops -w - | tshark -i -
  sluice capture --port n3 --snap 128 -w - | wireshark -k -i -
  sluice capture --port n6 --count 1000 --time 1m -w n6.pcapng`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<CaptureFlags>();
      const request = requestOf(options);
      const output = new CaptureFile(options.write ?? '', options.json === true);
      try {
        await withClient(options, (client) =>
          receiveCapture(client, 'NodeService', request, output),
        );
      } finally {
        output.close();
      }
    });
}

function requestOf(f: CaptureFlags): object {
  if ((f.session === undefined) === (f.port === undefined)) {
    throw usageError('give one of --session NAME and --port NAME');
  }
  checkCaptureFile(f.write);
  const request: Record<string, unknown> = { drops: f.drops === true };
  if (f.session !== undefined) request.session_name = f.session;
  if (f.port !== undefined) request.port = f.port;
  if (f.snap !== undefined) request.snap_length = parseInteger(f.snap, '--snap', 64, 65535);
  if (f.count !== undefined) {
    const count = parseCount(f.count, '--count');
    if (count < 1) throw usageError('--count: at least 1');
    request.max_packets = String(count);
  }
  if (f.time !== undefined) request.max_time = durationOf(f.time);
  return request;
}

/** @throws ToolError when it is not said, or would be a terminal. */
export function checkCaptureFile(file: string | undefined): void {
  if (file === undefined) throw usageError('say where it goes: -w FILE, or -w - for stdout');
  if (file === '-' && process.stdout.isTTY === true) {
    throw usageError('-w -: pcapng is not for a terminal; pipe it, such as into "tshark -i -"');
  }
}

/** --time as google.protobuf.Duration. */
export function durationOf(time: string): { seconds: number; nanos: number } {
  const seconds = parseSeconds(time, '--time');
  if (seconds < 0.001 || seconds > TIME_MAX_S) throw usageError('--time: from 1ms to 24h');
  const whole = Math.floor(seconds);
  return { seconds: whole, nanos: Math.round((seconds - whole) * 1e9) };
}

/** The file, made only when there is something to write: a refused capture leaves none. */
export class CaptureFile {
  #fd = -1;

  /** @param json  what was written is said as JSON on stdout, where that is free. */
  constructor(
    private readonly file: string,
    private readonly json: boolean,
  ) {}

  /** What there is so far, or at the end. */
  tell({ packets, lost }: CaptureChunk, atEnd: boolean): void {
    if (this.json && this.file !== '-') {
      if (atEnd)
        printJson({ out: this.file, packets: Number(packets ?? 0), lost: Number(lost ?? 0) });
      return;
    }
    const missing = Number(lost ?? 0) === 0 ? '' : `, ${grouped(lost)} lost`;
    process.stderr.write(`${grouped(packets)} packets${missing}${atEnd ? '\n' : '\r'}`);
  }

  /** False: the reader of a pipe has gone. */
  write(bytes: Uint8Array): boolean {
    try {
      if (this.#fd < 0) this.#fd = this.file === '-' ? 1 : openSync(this.file, 'w', 0o600);
      for (let at = 0; at < bytes.length; ) at += this.#some(bytes.subarray(at));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') return false;
      throw unwritable(this.file, error);
    }
  }
  #some(bytes: Uint8Array): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (error) {
      // A pipe that does not block and is full: the next try waits for its reader.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      return 0;
    }
  }
  close(): void {
    if (this.#fd > 2) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Writes what Capture of a service brings, until it ends or is ended. */
export async function receiveCapture(
  client: ApiClient,
  service: 'NodeService' | 'N4Service',
  request: object,
  output: CaptureFile,
): Promise<void> {
  const stream = client.serverStream(service, 'Capture', request);
  let last: CaptureChunk = {};
  let open = true;
  const live = process.stderr.isTTY === true;
  const progress = setInterval(() => live && output.tell(last, false), PROGRESS_MS);
  const stop = (): void => {
    open = false;
    stream.cancel();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: CaptureChunk) => {
        if (!open) return;
        last = chunk;
        try {
          if (!output.write(chunk.pcapng ?? new Uint8Array())) stop();
        } catch (error) {
          stop();
          reject(error);
        }
      });
      stream.on('end', resolve);
      stream.on('error', (error: grpc.ServiceError) => {
        if (open) reject(client.toToolError(error, { name: (request as Named).session_name }));
        else resolve();
      });
    });
    // Ended by us: the file ends with what its last chunk says of it.
    if (last.trailer !== undefined && last.trailer.length > 0) output.write(last.trailer);
    output.tell(last, true);
  } finally {
    clearInterval(progress);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

interface Named {
  readonly session_name?: string;
}
