/**
 * Completion scripts for bash, zsh and fish. They hold all commands, flags and choices; only
 * names of sessions are asked for, of the node that the command line names. Pure.
 */
import { allNodes, type CommandNode, type Flag, type Value } from './command-tree.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];
/** The hidden command that prints names of sessions, one a line. */
export const NAMES_COMMAND = 'session-names';

export function completionScript(shell: Shell, root: CommandNode): string {
  if (shell === 'fish') return fishScript(root);
  return `${shell === 'zsh' ? '#compdef sluice\n' : ''}${dataFunctions(root)}${shell === 'zsh' ? ZSH : BASH}`;
}

/** For single quotes of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The first line of a description, short enough for a list. */
function shortly(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 80);
}

function rows(items: readonly (readonly [string, string])[]): string {
  return items.map(([word, text]) => `${quoted(word)} ${quoted(shortly(text))}`).join(' ');
}

/** "choice open closed", "session"… as the scripts read it. */
function kindText({ kind, choices }: Value): string {
  return [kind, ...choices].join(' ');
}

/** Functions that bash and zsh both read: what there is at each command. */
function dataFunctions(root: CommandNode): string {
  const nodes = allNodes(root);
  const cases = (lineOf: (node: CommandNode) => string) =>
    nodes
      .map((node) => [node.path, lineOf(node)] as const)
      .filter(([, line]) => line !== '')
      .map(([path, line]) => `    ${quoted(path)}) ${line} ;;`)
      .join('\n');
  const named = (flags: readonly Flag[]) =>
    flags.flatMap(({ names, description }) => names.map((name) => [name, description] as const));
  const commands = cases(({ commands }) =>
    commands.length === 0
      ? ''
      : `printf '%s\\t%s\\n' ${rows(commands.map((child) => [child.command.name(), child.description]))}`,
  );
  const flags = cases(({ flags: all }) => `printf '%s\\t%s\\n' ${rows(named(all))}`);
  const values = nodes
    .flatMap(({ path, flags: all }) => all.map((flag) => ({ path, flag })))
    .filter(({ flag }) => flag.value !== undefined)
    .map(({ path, flag }) => {
      const patterns = flag.names.map((name) => quoted(`${path} ${name}`)).join('|');
      return `    ${patterns}) echo ${quoted(kindText(flag.value!))} ;;`;
    })
    .join('\n');
  const positions = nodes
    .flatMap(({ path, values: all, isVariadic }) =>
      all.map((value, i) => {
        const last = isVariadic && i === all.length - 1;
        const place = last ? `${quoted(`${path} `)}*` : quoted(`${path} ${i}`);
        return `    ${place}) echo ${quoted(kindText(value))} ;;`;
      }),
    )
    .join('\n');
  return `# Made by "sluice completion"; all of it comes from the command line itself.
_sluice_commands() {
  case "$1" in
${commands}
  esac
}
_sluice_flags() {
  case "$1" in
${flags}
  esac
}
# The kind of value that a flag ($2) of a command takes; nothing: it takes none.
_sluice_value() {
  case "$1 $2" in
${values}
  esac
}
# The kind of the argument at a place ($2), from 0.
_sluice_argument() {
  case "$1 $2" in
${positions}
  esac
}
`;
}

/** From the words before the cursor: the command, the kind of what comes, the API's flags. */
const PARSE = `
    if [ -n "$expects" ]; then
      case "$flag" in --api|--tls-*) api+=("$flag" "$word") ;; esac
      expects=''
      continue
    fi
    case "$word" in
      --) [ -z "$rest" ] && rest=yes; continue ;;
      --*=*) flag="\${word%%=*}"; case "$flag" in --api|--tls-*) api+=("$word") ;; esac; continue ;;
      -*) flag="$word"; expects="$(_sluice_value "$command" "$flag")"; continue ;;
    esac
    if _sluice_commands "$command" | cut -f1 | grep -qxF -- "$word"; then
      command="\${command:+$command }$word"
      place=0
    else
      place=$((place + 1))
    fi`;

const BASH = `
_sluice() {
  local line="\${COMP_LINE:0:COMP_POINT}" command='' expects='' flag='' rest='' place=0 i word
  local -a words api=()
  # By spaces, not by COMP_WORDBREAKS: addresses have colons.
  read -ra words <<<"$line"
  case "$line" in *[[:space:]]) words+=('') ;; esac
  local current="\${words[\${#words[@]}-1]}"
  for ((i = 1; i < \${#words[@]} - 1; i++)); do
    word="\${words[i]}"${PARSE}
  done
  local kind="$expects"
  case "$current" in
    --*=*) kind="$(_sluice_value "$command" "\${current%%=*}")"; current="\${current#*=}" ;;
    -*) [ -z "$kind$rest" ] && kind=flags ;;
  esac
  COMPREPLY=()
  local list=''
  if [ -z "$kind" ]; then
    list="$(_sluice_commands "$command" | cut -f1)"
    kind="$(_sluice_argument "$command" "$place")"
  fi
  case "$kind" in
    flags) list="$(_sluice_flags "$command" | cut -f1)" ;;
    choice\\ *) list="\${kind#choice }" ;;
    session) list="$("\${words[0]}" ${NAMES_COMMAND} "\${api[@]}" 2>/dev/null)" ;;
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    folder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$current") ;;
  esac
  [ -n "$list" ] && mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
  # What bash took for a word of its own in front of a colon is not repeated.
  if [[ "$current" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
    local before="\${current%"\${current##*:}"}"
    for i in "\${!COMPREPLY[@]}"; do COMPREPLY[i]="\${COMPREPLY[i]#"$before"}"; done
  fi
}
complete -F _sluice sluice
`;

const ZSH = `
_sluice() {
  local command='' expects='' flag='' rest='' place=0 i word kind='' current="$words[CURRENT]"
  local -a api=() rows=()
  for ((i = 2; i < CURRENT; i++)); do
    word="$words[i]"${PARSE}
  done
  kind="$expects"
  case "$current" in
    --*=*) kind="$(_sluice_value "$command" "\${current%%=*}")"; compset -P '*=' ;;
    -*) [ -z "$kind$rest" ] && kind=flags ;;
  esac
  if [ -z "$kind" ]; then
    rows=("\${(@f)$(_sluice_commands "$command" | tr '\\t' ':')}")
    [ -n "$rows[1]" ] && _describe command rows
    kind="$(_sluice_argument "$command" "$place")"
  fi
  case "$kind" in
    flags) rows=("\${(@f)$(_sluice_flags "$command" | tr '\\t' ':')}"); _describe option rows ;;
    choice\\ *) compadd -- \${=kind#choice } ;;
    session) compadd -- \${(f)"$(\${words[1]} ${NAMES_COMMAND} "$api[@]" 2>/dev/null)"} ;;
    file) _files ;;
    folder) _files -/ ;;
    command) _command_names ;;
  esac
}
# Loaded as a function of its name, the file is the function's first call.
if [ "$funcstack[1]" = _sluice ]; then _sluice "$@"; else compdef _sluice sluice; fi
`;

function fishScript(root: CommandNode): string {
  const lines = [
    '# Made by "sluice completion"; all of it comes from the command line itself.',
    'function __sluice_names',
    '  set -l words (commandline -opc)',
    '  set -l api',
    '  for i in (seq 2 (count $words))',
    "    string match -qr -- '^--(api|tls-)' $words[$i]; and set -a api $words[$i..(math $i + 1)]",
    '  end',
    `  $words[1] ${NAMES_COMMAND} $api 2>/dev/null`,
    'end',
    '# Whether the words before the cursor are this command, and no command below it.',
    'function __sluice_at',
    '  set -l words',
    "  for word in (commandline -opc)[2..]; string match -q -- '-*' $word; or set -a words $word; end",
    '  set -l path (string split " " -- $argv[1])',
    '  test "$argv[1]" = ""; and set path',
    '  test (count $words) -ge (count $path); or return 1',
    '  for i in (seq (count $path)); test "$words[$i]" = "$path[$i]"; or return 1; end',
    '  set -l next $words[(math (count $path) + 1)]',
    '  not contains -- "$next" $argv[2..]',
    'end',
    'complete -c sluice -f',
  ];
  for (const node of allNodes(root)) {
    const below = node.commands.map(({ command }) => command.name());
    const at = `-n ${quoted(`__sluice_at ${[quoted(node.path), ...below].join(' ')}`)}`;
    for (const child of node.commands) {
      lines.push(
        `complete -c sluice ${at} -a ${child.command.name()} -d ${quoted(shortly(child.description))}`,
      );
    }
    for (const flag of node.flags) lines.push(`complete -c sluice ${at} ${fishFlag(flag)}`);
    for (const value of node.values) {
      const offered = fishValue(value);
      if (offered !== '') lines.push(`complete -c sluice ${at} ${offered}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function fishFlag({ names, description, value }: Flag): string {
  const words = names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  const needs =
    value === undefined
      ? []
      : [value.kind === 'file' ? '-r' : '-x', fishValue(value)].filter((part) => part !== '');
  return [...words, ...needs, `-d ${quoted(shortly(description))}`].join(' ');
}

function fishValue({ kind, choices }: Value): string {
  switch (kind) {
    case 'choice':
      return `-a ${quoted(choices.join(' '))}`;
    case 'session':
      return "-a '(__sluice_names)'";
    case 'file':
      return '-F';
    case 'folder':
      return "-a '(__fish_complete_directories)'";
    case 'command':
      return "-a '(__fish_complete_subcommand)'";
    default:
      return '';
  }
}
