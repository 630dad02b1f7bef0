import type { Command } from 'commander';
import { openFile, sealFile } from '../../tools/crypto/sealed-files.js';
import { EXIT_FAILED, ToolError, usageError } from '../../tools/tool-error.js';
import { grouped, printJson, printLine } from '../print.js';

const SUFFIX = '.sealed';
const KEY_HELP = 'SM4 key of mode 0600, as "keygen sm4" writes it';

interface SealFlags {
  keyFile: string;
  out?: string;
  json?: boolean;
}

export function addSealCommand(crypto: Command): void {
  crypto
    .command('seal')
    .description('encrypt a file so that any change of it is found')
    .argument('<file>', 'what to seal, of any size; - for standard input')
    .requiredOption('--key-file <file>', KEY_HELP)
    .option('-o, --out <file>', `where it goes; - for stdout (default: <file>${SUFFIX})`)
    .addHelpText(
      'after',
      `
SM4-GCM in chunks of 64 kB, with a key of its own for each file, derived from the given key and a
random salt. A chunk that was changed, left out, doubled or moved, and a file that was cut off, do
not open. docs/SM4.md has the format. Names, times and sizes of files are not hidden.

A file that is there is never overwritten, and the new one appears when it is whole.

Examples:
  sluice crypto keygen sm4 -o node.key
  sluice crypto seal usage.csv --key-file node.key
  tar c logs | sluice crypto seal - --key-file node.key -o logs.tar.sealed`,
    )
    .action(async (file: string, _: unknown, own: Command) => {
      const { keyFile, out, json } = own.optsWithGlobals<SealFlags>();
      if (file === '-' && out === undefined) {
        throw usageError('say where it goes: -o FILE, or -o - for stdout');
      }
      const output = out ?? `${file}${SUFFIX}`;
      refuseTerminal(output, 'a sealed file is not for a terminal');
      const bytes = await untilInterrupted((signal) =>
        sealFile({ input: file, output, keyFile, signal }),
      );
      report(output, bytes, json);
    });
}

export function addOpenCommand(crypto: Command): void {
  crypto
    .command('open')
    .description('decrypt a file that "seal" wrote, if all of it holds')
    .argument('<file>', 'sealed file; - for standard input')
    .requiredOption('--key-file <file>', KEY_HELP)
    .option('-o, --out <file>', `where it goes; - for stdout (default: without ${SUFFIX})`)
    .addHelpText(
      'after',
      `
The new file appears only when all chunks have held. What goes to stdout has held chunk by chunk,
but only exit code 0 says that none is missing at the end: don't act on it before.

Exit codes: 0 done, 1 another key, or the file was changed or cut off, or stdout was closed before
the end, 2 wrong usage.

Examples:
  sluice crypto open usage.csv.sealed --key-file node.key
  sluice crypto open logs.tar.sealed --key-file node.key -o logs.tar
  sluice crypto open usage.csv.sealed --key-file node.key -o - | head`,
    )
    .action(async (file: string, _: unknown, own: Command) => {
      const { keyFile, out, json } = own.optsWithGlobals<SealFlags>();
      if (out === undefined && !file.endsWith(SUFFIX)) {
        throw usageError(`say where it goes: -o FILE (${file} does not end in ${SUFFIX})`);
      }
      const output = out ?? file.slice(0, -SUFFIX.length);
      const bytes = await failingUntilDone(() =>
        untilInterrupted((signal) => openFile({ input: file, output, keyFile, signal })),
      );
      report(output, bytes, json);
    });
}

function refuseTerminal(output: string, why: string): void {
  if (output === '-' && process.stdout.isTTY === true) throw usageError(`-o -: ${why}`);
}

/** Whoever stops reading stdout ends the process before it is known whether the rest holds. */
async function failingUntilDone<T>(work: () => Promise<T>): Promise<T> {
  const before = process.exitCode;
  process.exitCode = EXIT_FAILED;
  try {
    return await work();
  } finally {
    process.exitCode = before;
  }
}

/** What went to stdout is not to be mixed with words. */
function report(output: string, bytes: number, json: boolean | undefined): void {
  if (output === '-') return;
  if (json === true) printJson({ out: output, bytes });
  else printLine(`${output}: ${grouped(bytes)} bytes`);
}

/** Ctrl-C and SIGTERM end the work in order, so that no part of a file stays behind. */
async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort(new ToolError('interrupted; nothing was written'));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    return await work(interrupt.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
