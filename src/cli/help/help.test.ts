/** Every command explains itself, and what is made of the help is current. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../api/client.js';
import { catchOutput } from '../cli.fixture.js';
import { program, run, version } from '../program.js';
import { allNodes, helpText, treeOf } from './command-tree.js';
import { manPage } from './man-page.js';

const written = catchOutput();

const nodes = allNodes(treeOf(program()));

describe('the help', () => {
  it('knows all commands', () => {
    const paths = nodes.map(({ path }) => path);
    for (const path of ['serve', 'config', 'doctor', 'top', 'session watch', 'gnb load', 'help']) {
      expect(paths).toContain(path);
    }
  });

  it.each(nodes.map((node) => [node.path || '(sluice)', node] as const))(
    '%s: description, examples, exit codes, environment',
    (_, { command, path, description, flags }) => {
      const text = helpText(command);
      expect(description).not.toBe('');
      expect(text).toMatch(/^Exit codes?:/m);
      expect(text).toMatch(/^Environment:/m);
      const examples = /^Examples:\n((?: {2}.*\n?)+)/m.exec(text)?.[1] ?? '';
      expect(examples).toMatch(new RegExp(`sluice ${path.split(' ')[0]}`));
      for (const flag of flags) expect(flag.description, flag.names.join()).not.toBe('');
    },
  );

  it('shows examples that the command line takes', () => {
    for (const { command, path } of nodes) {
      const lines = helpText(command).match(/^ {2}sluice .*$/gm) ?? [];
      for (const line of lines) {
        const words = line.trim().split(/\s+/).slice(1);
        const upToPipe = words.slice(0, words.findIndex((word) => /^[|>]/.test(word)) >>> 0);
        const named = nodes.some(
          (node) => node.path !== '' && `${upToPipe.join(' ')} `.startsWith(`${node.path} `),
        );
        expect(named, `${path}: ${line}`).toBe(true);
        // Flags of the example exist; those behind "--" are another program's.
        const own = upToPipe.includes('--') ? upToPipe.slice(0, upToPipe.indexOf('--')) : upToPipe;
        const node = nodes
          .filter((one) => `${own.join(' ')} `.startsWith(`${one.path} `))
          .sort((a, b) => b.path.length - a.path.length)[0]!;
        const known = [node, ...node.commands].flatMap(({ flags }) =>
          flags.flatMap((f) => f.names),
        );
        for (const flag of own.filter((word) => /^--?[a-z]/.test(word))) {
          expect([...known, '--version'], `${path}: ${line}`).toContain(flag.split('=')[0]);
        }
      }
    }
  });

  it('is shown by "help", also for a command below another', async () => {
    expect(await run(['help', 'session', 'create'])).toBe(0);
    expect(written.out).toMatch(/^Usage: sluice session create /);
    written.out = '';
    expect(await run(['help'])).toBe(0);
    expect(written.out).toMatch(/^Usage: sluice /);
    expect(await run(['help', 'session', 'nope'])).toBe(2);
    expect(written.err).toBe(
      'sluice: there is no command "session nope"; "sluice help session" lists what there is\n',
    );
  });
});

describe('the manual page', () => {
  it('is that of this program: "npm run man" writes it anew', () => {
    const file = readFileSync(join(packageRoot(), 'docs', 'sluice.1'), 'utf8');
    expect(manPage(treeOf(program()), version())).toBe(file);
  });
  it('has no line that troff would take for its own', () => {
    const page = manPage(treeOf(program()), version());
    const macros = /^\.(\\"|TH|SH|SS|TP|PP|nf|fi|B|I|BR)( |$)/;
    expect(page.split('\n').filter((line) => /^[.']/.test(line) && !macros.test(line))).toEqual([]);
  });
});
