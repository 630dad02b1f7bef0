/**
 * The `sluice` command: a client of the public API, and the door to the server (main.ts)
 * and to the tools. Exit codes: 0 done, 1 failed, 2 wrong usage. One thread, that of the
 * process; one folder per noun. Start with run().
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { EXIT_FAILED, EXIT_USAGE, ToolError } from '../tools/tool-error.js';
import { DEFAULT_API_ADDRESS, packageRoot } from './api/client.js';
import { addCryptoCommands } from './crypto/commands.js';
import { addDoctorCommand } from './doctor-command.js';
import { addGnbCommands } from './gnb/commands.js';
import { addHelpCommands } from './help/commands.js';
import { addCommonSections } from './help/sections.js';
import { addN4Commands } from './n4/commands.js';
import { addNodeCommands } from './node-commands.js';
import { addProtectionCommands } from './protection/commands.js';
import { addReplayCommand } from './replay-command.js';
import { addServeCommands } from './serve-commands.js';
import { addSessionCommands } from './session/commands.js';
import { addCaptureCommand } from './sight/capture-command.js';
import { addTraceCommand } from './sight/trace-command.js';
import { addTopCommand } from './top/command.js';

export function version(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The whole command line; nothing happens before it is parsed. */
export function program(): Command {
  const sluice = new Command('sluice')
    .description('Sluice, a 5G User Plane Function for bare-metal nodes')
    .version(version())
    .option('--json', 'print JSON for programs instead of text for people')
    .option(
      '--api <address>',
      `API of the UPF: host:port or unix:PATH (default: $SLUICE_API or ${DEFAULT_API_ADDRESS})`,
    )
    .option('--tls-ca <file>', 'PEM of the authority that signed the API server')
    .option('--tls-cert <file>', 'PEM of our own certificate (mutual TLS)')
    .option('--tls-key <file>', 'PEM of the key to it')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError('(add --help for the options and examples)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  sluice serve -c sluice.yaml
  sluice session create --name ue1 --ue-ip auto --mbr-dl 50M
  sluice gnb exec --session ue1 -- ping -c 3 10.60.0.1
  sluice stats --watch
  sluice top
  sluice trace uplink udp --session ue1 --to 203.0.113.9:443
  sluice capture --session ue1 -w ue1.pcapng
  sluice doctor -c sluice.yaml
  sluice replay capture.pcap --sessions sessions.yaml --out result.pcapng
  sluice help session create`,
    );
  addServeCommands(sluice);
  addSessionCommands(sluice);
  addNodeCommands(sluice);
  addN4Commands(sluice);
  addProtectionCommands(sluice);
  addTopCommand(sluice);
  addDoctorCommand(sluice);
  addGnbCommands(sluice);
  addTraceCommand(sluice);
  addCaptureCommand(sluice);
  addReplayCommand(sluice);
  addCryptoCommands(sluice);
  addHelpCommands(sluice);
  addCommonSections(sluice);
  return sluice;
}

/** Runs one command line; resolves to the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(args as string[], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 || error.code === 'commander.helpDisplayed' ? 0 : EXIT_USAGE;
    }
    if (error instanceof ToolError) {
      for (const line of error.message.split('\n')) process.stderr.write(`sluice: ${line}\n`);
      return error.exitCode;
    }
    process.stderr.write(`sluice: ${(error as Error).stack ?? String(error)}\n`);
    return EXIT_FAILED;
  }
}
