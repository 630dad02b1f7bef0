/**
 * The command line about itself: help texts, completion scripts and the manual page are all
 * made of the commander program, so that none of them can differ from it. Pure, but for the
 * names of sessions, which a node is asked for; one thread.
 */
import type { Argument, Command, Option } from 'commander';

/** What the shell offers for a value. */
export type ValueKind = 'file' | 'folder' | 'session' | 'command' | 'choice' | 'free';

export interface Value {
  readonly kind: ValueKind;
  readonly choices: readonly string[];
}
export interface Flag {
  /** "-f" and "--file" */
  readonly names: readonly string[];
  readonly description: string;
  /** undefined: takes none */
  readonly value: Value | undefined;
  readonly isVariadic: boolean;
}
export interface CommandNode {
  readonly command: Command;
  /** "session create"; '' for the program itself */
  readonly path: string;
  readonly description: string;
  readonly commands: readonly CommandNode[];
  readonly flags: readonly Flag[];
  readonly values: readonly Value[];
  readonly isVariadic: boolean;
}

/** Commands that people see, with everything under them. */
export function treeOf(program: Command, path = ''): CommandNode {
  const children = program.commands
    .filter((command) => !isHidden(command))
    .map((command) => treeOf(command, `${path} ${command.name()}`.trim()));
  return {
    command: program,
    path,
    description: program.description(),
    commands: children,
    flags: flagsOf(program),
    values: program.registeredArguments.map(valueOfArgument),
    isVariadic: program.registeredArguments.at(-1)?.variadic === true,
  };
}

/** The node itself and all below it. */
export function allNodes(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(allNodes)];
}

/** All of a command's help: what commander makes and what was added to it. */
export function helpText(command: Command): string {
  let text = '';
  const { writeOut, getOutHasColors, ...others } = command.configureOutput();
  command.configureOutput({
    ...others,
    writeOut: (part) => (text += part),
    getOutHasColors: () => false,
  });
  command.outputHelp();
  command.configureOutput({
    ...others,
    ...(writeOut && { writeOut }),
    ...(getOutHasColors && { getOutHasColors }),
  });
  return text;
}

/** What was added behind commander's own part. */
export function addedText(command: Command): string {
  return helpText(command).slice(command.helpInformation().length).trim();
}

function isHidden(command: Command): boolean {
  return (command as Command & { _hidden?: boolean })._hidden === true;
}

function flagsOf(command: Command): Flag[] {
  const inherited: Option[] = [];
  for (let at = command.parent; at !== null; at = at.parent) inherited.push(...at.options);
  const help = command.createHelp().visibleOptions(command);
  // --version belongs to the program alone.
  return [...help, ...inherited.filter((option) => option.long !== '--version')].map((option) => ({
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: option.description,
    value: option.required || option.optional ? valueOfOption(option) : undefined,
    isVariadic: option.variadic,
  }));
}

function valueOfOption(option: Option): Value {
  if (option.argChoices !== undefined) return { kind: 'choice', choices: option.argChoices };
  const word = /[<[]([\w-]+)/.exec(option.flags)?.[1] ?? '';
  const kind = option.long === '--session' ? 'session' : kindOf(word);
  return { kind, choices: [] };
}

function valueOfArgument(argument: Argument): Value {
  if (argument.argChoices !== undefined) return { kind: 'choice', choices: argument.argChoices };
  const word = argument.name();
  return { kind: /^names?$/.test(word) ? 'session' : kindOf(word), choices: [] };
}

/** By the word that the help shows for the value. */
function kindOf(word: string): ValueKind {
  if (word === 'file' || word === 'capture') return 'file';
  if (word === 'folder') return 'folder';
  if (word === 'session' || word === 'sessions') return 'session';
  return word === 'command' ? 'command' : 'free';
}
