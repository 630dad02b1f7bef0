/** `sluice doctor`: what this machine lacks for a configuration, and the commands that mend it. */
import type { Command } from 'commander';
import { examine, tally } from '../tools/doctor/doctor.js';
import type { Finding, Level } from '../tools/doctor/finding.js';
import { machineProbe } from '../tools/doctor/machine-probe.js';
import { EXIT_FAILED } from '../tools/tool-error.js';
import { printJson, printLine } from './print.js';
import { loadConfigOf, type ServeFlags, withConfigFlags } from './serve-commands.js';

interface DoctorFlags extends ServeFlags {
  strict?: boolean;
}

export function addDoctorCommand(program: Command): void {
  withConfigFlags(program.command('doctor'))
    .description('check this machine for a configuration, and name what mends it')
    .option('--strict', 'exit with 1 on warnings too')
    .addHelpText(
      'after',
      `
Looks at the kernel, privileges, processor, cryptography, cores, huge pages, NUMA, network
interfaces, sysctls, ports that are taken, the data folder and the clock. It changes nothing. Run it as the user
that runs the node: privileges and limits are those of whoever asks.

Each finding has a level. An error keeps the node from starting or from doing what the
configuration says; a warning costs speed or precision; a note is good to know. Below stand
what it means and the command that mends it (as root, where it changes the system).

With --json: {"findings": [{"check", "level", "found", "means", "mend"}], "ok", "note",
"warning", "error"}; the last four say how many.

Exit codes: 0 no error, 1 at least one error (with --strict: or warning), 2 wrong usage.

Examples:
  sluice doctor
  sluice doctor -c /etc/sluice/sluice.yaml --strict
  sluice doctor --json | jq -r '.findings[] | select(.level != "ok") | .mend'`,
    )
    .action((_: unknown, own: Command) => {
      const flags = own.optsWithGlobals<DoctorFlags>();
      const findings = examine(machineProbe, loadConfigOf(flags), flags.config);
      if (flags.json === true) printJson({ findings, ...tally(findings) });
      else printLine(findingsText(findings, process.stdout.isTTY));
      const { error, warning } = tally(findings);
      if (error > 0 || (flags.strict === true && warning > 0)) process.exitCode = EXIT_FAILED;
    });
}

const COLOURS: Readonly<Record<Level, number>> = { ok: 32, note: 36, warning: 33, error: 31 };
const INDENT = ' '.repeat(9);

/** One line a finding, with what follows from it below; the count of each level at the end. */
export function findingsText(findings: readonly Finding[], coloured: boolean): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const mark = (level: Level): string => {
    const text = level.padEnd(7);
    return coloured ? `\x1b[${COLOURS[level]}m${text}\x1b[0m` : text;
  };
  const lines = findings.flatMap(({ check, level, found, means, mend }) => [
    `${mark(level)}  ${check.padEnd(width)}  ${found}`,
    ...(means === undefined ? [] : [`${INDENT}${' '.repeat(width)}  ${means}`]),
    ...(mend === undefined ? [] : [`${INDENT}${' '.repeat(width)}  $ ${mend}`]),
  ]);
  const { ok, note, warning, error } = tally(findings);
  const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
  const sum = [plural(error, 'error'), plural(warning, 'warning'), plural(note, 'note')].join(', ');
  return [...lines, '', `${sum}; ${ok} in order`].join('\n');
}
