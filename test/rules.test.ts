/**
 * Keeps docs/RULES.md honest: every row names a test that is there. A test is a case of a file
 * in test/packets or of a test in TypeScript ("`match.yaml`: its title, or the start of it"), a
 * native one by its name, with or without its suite, or a whole test file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readPacketFile } from './packets/packet-file.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Tests {
  readonly native: readonly string[];
  readonly files: readonly string[];
  /** By file of test/packets, and of tests in TypeScript. */
  readonly cases: ReadonlyMap<string, readonly string[]>;
}

function testsOf(folder: string): Tests {
  const files = ['native', 'src', 'test'].flatMap((name) =>
    readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' }).map((path) =>
      join(folder, name, path),
    ),
  );
  const native = files
    .filter((path) => path.endsWith('_test.cc'))
    .flatMap((path) => [
      ...readFileSync(path, 'utf8').matchAll(/^\s*(?:TYPED_)?TEST(?:_F|_P)?\((\w+),\s*(\w+)\)/gm),
    ])
    .map(([, suite, name]) => `${suite}.${name}`);
  const cases = new Map(
    files
      .filter((path) => path.includes('/packets/') && path.endsWith('.yaml'))
      .map((path) => [
        path.slice(path.lastIndexOf('/') + 1),
        readPacketFile(path).cases.map((one) => one.title),
      ]),
  );
  for (const path of files.filter((one) => one.endsWith('.test.ts'))) {
    // A title is the first text of a test, or of the row that a test is made of.
    const titles = readFileSync(path, 'utf8').matchAll(/[([]\s*(['"`])((?:(?!\1).)+)\1\s*,/g);
    const name = path.slice(path.lastIndexOf('/') + 1);
    cases.set(name, [...(cases.get(name) ?? []), ...[...titles].map(([, , title]) => title!)]);
  }
  const names = files.map((path) => path.slice(path.lastIndexOf('/') + 1));
  return { native, cases, files: names.filter((name) => /[._]test(_\w+)?\.(ts|cc|h)$/.test(name)) };
}

/** What a cell names that is no test; undefined when it names none at all. */
function unknownIn(cell: string, tests: Tests): string[] | undefined {
  let named = 0;
  const unknown: string[] = [];
  const check = (name: string, found: boolean) => {
    named++;
    if (!found) unknown.push(name);
  };
  let rest = cell.replace(
    /`([\w.-]+(?:\.yaml|\.test\.ts))`: ([^;|]*)/g,
    (_, file: string, titles: string) => {
      for (const title of titles.split(' / ').map((one) => one.replace(/…?\s*$/, '').trim())) {
        const there = tests.cases.get(file)?.some((one) => one.startsWith(title)) === true;
        check(`${file}: ${title}`, there && title !== '');
      }
      return '';
    },
  );
  rest = rest.replace(/`?([\w.-]+[._]test(?:_\w+)?\.(?:cc|ts))`?/g, (_, file: string) => {
    check(file, tests.files.includes(file.slice(file.lastIndexOf('/') + 1)));
    return '';
  });
  rest = rest.replace(/`(\w+)\.\*`/g, (_, suite: string) => {
    check(
      `${suite}.*`,
      tests.native.some((one) => one.startsWith(`${suite}.`)),
    );
    return '';
  });
  for (const [name] of rest.matchAll(/\b(?:\w+\.)?[A-Z]\w*[a-z]\w*[A-Z]\w*/g)) {
    // An abbreviated name ends with an ellipsis: the start of it is there.
    const plain = name.includes('.') ? name : `.${name}`;
    check(
      name,
      tests.native.some((one) => `.${one}`.includes(plain)),
    );
  }
  return named === 0 ? undefined : unknown;
}

interface Row {
  readonly rule: string;
  readonly source: string;
  readonly test: string;
}

function rowsOf(text: string): Row[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (rule|---)/.test(line))
    .map((line) => {
      const cells = line.split('|').slice(1, -1);
      return {
        rule: cells[0]!.trim(),
        source: cells.at(-2)!.trim(),
        test: cells.at(-1)!.trim(),
      };
    });
}

describe('docs/RULES.md', () => {
  const tests = testsOf(root);
  const rows = rowsOf(readFileSync(join(root, 'docs', 'RULES.md'), 'utf8'));

  it('would tell of a test that is not there', () => {
    expect(unknownIn('`match.yaml`: no such case', tests)).toHaveLength(1);
    expect(unknownIn('`refusals.test.ts`: no such test', tests)).toHaveLength(1);
    expect(unknownIn('`refusals.test.ts`: a FAR ID twice', tests)).toHaveLength(0);
    expect(unknownIn('`DatapathTest.NoSuchTest`', tests)).toHaveLength(1);
    expect(unknownIn('NoSuchTestAnywhere', tests)).toHaveLength(1);
    expect(unknownIn('`no_such_test.cc`', tests)).toHaveLength(1);
    expect(unknownIn('', tests)).toBeUndefined();
    expect(unknownIn('`match.yaml`: a refused update…; `match_test.ts`', tests)).toHaveLength(1);
  });
  it('has a test for every rule, and every test is there', () => {
    expect(rows.length).toBeGreaterThan(40);
    const wrong = rows.flatMap(({ rule, test }) => {
      // "the same" is the row above.
      if (/^(the same|")/.test(test)) return [];
      const unknown = unknownIn(test, tests);
      return unknown === undefined
        ? [`${rule}: no test`]
        : unknown.map((name) => `${rule}: ${name}`);
    });
    expect(wrong).toEqual([]);
  });
  it('has a source for every rule, of 3GPP with its clause', () => {
    const none = rows.filter(({ source }) => source === '' || /^TS \d+\.\d+$/.test(source));
    expect(none.map(({ rule }) => rule)).toEqual([]);
  });
  it('names every case of test/packets that is not in a row as a family', () => {
    const text = readFileSync(join(root, 'docs', 'RULES.md'), 'utf8');
    const families = [...tests.cases.keys()].filter((file) => file.endsWith('.yaml'));
    expect(families.filter((file) => !text.includes(file))).toEqual([]);
  });
});
