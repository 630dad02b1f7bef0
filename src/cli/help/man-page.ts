/** The manual page, in the man(7) macros. Pure: the same program and version give the same text. */
import { addedText, allNodes, type CommandNode } from './command-tree.js';
import { CLIENT_ENVIRONMENT, EXIT_CODES } from './sections.js';

/** Texts that stand on their own for the whole command, not for one of its commands. */
const FILES: readonly (readonly [string, string])[] = [
  ['/etc/sluice/sluice.yaml', 'configuration of the service; every key in docs/CONFIGURATION.md'],
  ['./data', 'where sessions are kept, unless store.path says otherwise'],
  ['/run/sluice/ue', 'which process owns which network namespace of a UE'],
];

export function manPage(root: CommandNode, version: string): string {
  const nodes = allNodes(root).filter(({ path }) => path !== '');
  const lines = [
    '.\\" Made by scripts/man-page.mjs from the program; do not edit.',
    `.TH SLUICE 1 "" "sluice ${version}" "Sluice"`,
    '.SH NAME',
    `sluice \\- ${escaped(root.description)}`,
    '.SH SYNOPSIS',
    '.B sluice',
    '[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]',
    '.SH DESCRIPTION',
    'The command runs the node, creates and watches sessions over its gRPC API, and brings tools to',
    'try it and to look into it. Output is text for people, or JSON with',
    '.BR \\-\\-json .',
    '.SH OPTIONS',
    ...optionLines(root),
    '.SH COMMANDS',
    ...nodes.flatMap(commandLines),
    ...sectionLines(addedText(root.command)),
    '.SH FILES',
    ...FILES.flatMap(([path, text]) => ['.TP', `.I ${escaped(path)}`, escaped(text)]),
    '.SH SEE ALSO',
    'README.md, docs/TOUR.md, docs/OPERATIONS.md and docs/API.md of the repository.',
  ];
  return `${lines.join('\n')}\n`;
}

function commandLines(node: CommandNode): string[] {
  const usage = node.command.createHelp().commandUsage(node.command);
  const own = node.command.options;
  return [
    `.SS "sluice ${escaped(node.path)}"`,
    `${sentence(node.description)}`,
    '.PP',
    `.B ${escaped(usage)}`,
    ...optionLines({ ...node, command: node.command }, own.length),
    ...paragraphs(withoutUsual(addedText(node.command))),
  ];
}

function optionLines({ command }: CommandNode, count = command.options.length): string[] {
  const help = command.createHelp();
  return command.options
    .slice(0, count)
    .flatMap((option) => [
      '.TP',
      `.B ${escaped(help.optionTerm(option))}`,
      sentence(help.optionDescription(option)),
    ]);
}

/** The program's own added text: "Name:" at the start of a line begins a section. */
function sectionLines(text: string): string[] {
  return text.split('\n\n').flatMap((block) => {
    const match = /^([A-Z][a-z ]+):\s*([\s\S]*)$/.exec(block);
    if (match === null) return paragraphs(block);
    return [`.SH ${match[1]!.toUpperCase()}`, ...paragraphs(match[2]!.replace(/^\n/, ''))];
  });
}

/** Without what holds for every command: the page says it once. */
function withoutUsual(text: string): string {
  return text.replace(EXIT_CODES, '').replace(CLIENT_ENVIRONMENT, '');
}

/** Text as it stands: lines that are set in are not joined. */
function paragraphs(text: string): string[] {
  const out: string[] = [];
  for (const block of text.split('\n\n').filter((part) => part.trim() !== '')) {
    out.push('.PP', '.nf');
    out.push(...block.replace(/\n+$/, '').split('\n').map(escaped));
    out.push('.fi');
  }
  return out;
}

function sentence(text: string): string {
  const plain = escaped(text.replaceAll(/\s+/g, ' ').trim());
  return /[.)]$/.test(plain) ? plain : `${plain}.`;
}

/** Of what troff would take for its own. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
}
