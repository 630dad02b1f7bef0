/** `sluice help` and `sluice completion`. */
import { Argument, type Command } from 'commander';
import { usageError } from '../../tools/tool-error.js';
import type { ApiOptions } from '../api/client.js';
import type { ListSessionsResponse } from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { treeOf } from './command-tree.js';
import { completionScript, NAMES_COMMAND, SHELLS, type Shell } from './completion.js';

/** Somebody waits at a prompt. */
const NAMES_TIMEOUT_MS = 1000;
const NAMES_MAX = 1000;

export function addHelpCommands(program: Command): void {
  program.helpCommand(false);
  program
    .command('help')
    .argument('[command...]', 'such as: session create')
    .description('show the help of a command')
    .addHelpText('after', '\nExamples:\n  sluice help\n  sluice help session create')
    .action((words: string[]) => commandOf(program, words).help());
  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .description('print the script that completes commands, flags and values in a shell')
    .addHelpText(
      'after',
      `
Names of sessions are asked of the node that --api or SLUICE_API names, 1,000 at most;
without a node there are none, and everything else is completed.

Examples:
  source <(sluice completion bash)
  sluice completion bash > /etc/bash_completion.d/sluice
  sluice completion zsh > "\${fpath[1]}/_sluice"
  sluice completion fish > ~/.config/fish/completions/sluice.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell, treeOf(program)));
    });
  program.command(NAMES_COMMAND, { hidden: true }).action(async (_: unknown, own: Command) => {
    for (const name of await sessionNames(own.optsWithGlobals<ApiOptions>())) {
      process.stdout.write(`${name}\n`);
    }
  });
}

function commandOf(program: Command, words: readonly string[]): Command {
  let at = program;
  for (const word of words) {
    const next = at.commands.find((command) => command.name() === word);
    if (next === undefined) {
      const list = `sluice help ${pathOf(at)}`.trim();
      const wanted = `${pathOf(at)} ${word}`.trim();
      throw usageError(`there is no command "${wanted}"; "${list}" lists what there is`);
    }
    at = next;
  }
  return at;
}

function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim();
}

/** What a shell may offer; a node that does not answer has nothing to offer. */
async function sessionNames(options: ApiOptions): Promise<string[]> {
  const request = { page_size: NAMES_MAX };
  try {
    const page = await withClient(options, (client) =>
      client.call<ListSessionsResponse>(
        'SessionService',
        'ListSessions',
        request,
        NAMES_TIMEOUT_MS,
      ),
    );
    return (page.sessions ?? []).map(({ name }) => name ?? '').filter((name) => name !== '');
  } catch {
    return [];
  }
}
