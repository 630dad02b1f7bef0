/** `sluice serve` and `sluice config`: the door to the server, and its configuration. */
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import {
  type Config,
  ConfigError,
  type ConfigOverrides,
  effectiveConfig,
  loadConfig,
} from '../base/config/config.js';
import { EXIT_FAILED, ToolError } from '../tools/tool-error.js';
import { printJson } from './print.js';
import { parseInteger } from './units.js';

export interface ServeFlags {
  config?: string;
  api?: string;
  http?: string;
  data?: string;
  workers?: string;
  json?: boolean;
}

/**
 * Bytecode that the compiler takes into one function. Decoders and encoders are loops over many
 * small methods, and the default of 920 is used up in the middle of a PDR.
 */
const INLINED_BYTECODE_MAX = 3000;

/** The flags that name a configuration and change single keys of it. */
export function withConfigFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (default: every key has its default)')
    .option('--http <address>', 'overrides http.listen')
    .option('--data <folder>', 'overrides store.path')
    .option('--workers <n>', 'overrides workers.count');
}

export function addServeCommands(program: Command): void {
  withConfigFlags(program.command('serve'))
    .description('run the UPF in this terminal until Ctrl-C or SIGTERM')
    .addHelpText(
      'after',
      `
Here --api says where the API listens (overrides api.listen). One line starting with
"ready" is printed once sessions are restored and ports are open.

Examples:
  sluice serve
  sluice serve -c /etc/sluice/sluice.yaml
  sluice serve --api 127.0.0.1:50052 --data /tmp/sluice-trial`,
    )
    .action(async (_: unknown, own: Command) => {
      const flags = own.optsWithGlobals<ServeFlags>();
      setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE_MAX}`);
      const { serve } = await import('../main.js');
      await serve(loadConfigOf(flags));
    });
  withConfigFlags(program.command('config'))
    .description('print the effective configuration: the file, the flags and every default')
    .addHelpText('after', '\nExamples:\n  sluice config\n  sluice config -c sluice.yaml --json')
    .action((_: unknown, own: Command) => {
      const flags = own.optsWithGlobals<ServeFlags>();
      const config = loadConfigOf(flags);
      if (flags.json === true) printJson(config);
      else process.stdout.write(effectiveConfig(config));
    });
}

/** The configuration that the flags name; a ToolError tells what is wrong with it. */
export function loadConfigOf(flags: ServeFlags): Config {
  try {
    return loadConfig(flags.config, overridesOf(flags));
  } catch (error) {
    if (error instanceof ConfigError) throw new ToolError(error.message, EXIT_FAILED);
    throw error;
  }
}

/** Flags by the names of the configuration's keys. */
function overridesOf(flags: ServeFlags): ConfigOverrides {
  return {
    ...(flags.api !== undefined && { api: { listen: flags.api } }),
    ...(flags.http !== undefined && { http: { listen: flags.http } }),
    ...(flags.data !== undefined && { store: { path: flags.data } }),
    ...(flags.workers !== undefined && {
      workers: { count: parseInteger(flags.workers, '--workers', 1, 64) },
    }),
  };
}
