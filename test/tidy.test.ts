/** Keeps the repository as docs/ARCHITECTURE.md says it is; first proves that each rule can fail. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { functionsOf } from './tidy/functions.js';
import { importsOfCpp, importsOfTypeScript } from './tidy/imports.js';
import {
  complaintsAbout,
  complaintsAboutFolders,
  leftoverComplaints,
  nameComplaints,
  openingComment,
  purityComplaints,
  type SourceFile,
  sizeComplaints,
} from './tidy/rules.js';
import { codeOf } from './tidy/source-text.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = [
  'native',
  'src',
  'bench',
  'test',
  'scripts',
  'proto',
  'deploy',
  'docs',
  '.ci',
  'bin',
];
const rootFiles = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'CMakeLists.txt',
  'package.json',
];
const leftOut = /(^|\/)(generated|node_modules|vectors)\//;

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((path) => !leftOut.test(path));
}

function repository(): SourceFile[] {
  const present = new Set(readdirSync(root));
  return [...folders.filter((name) => present.has(name)).flatMap(filesOf), ...rootFiles]
    .filter((path) => present.has(path.split('/')[0]!))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

const cpp = (path: string, text: string) => importsOfCpp({ path, text });
const typeScript = (path: string, text: string) => importsOfTypeScript({ path, text });
const numbered = (count: number) =>
  Array.from({ length: count }, (_, i) => `  f(${i});\n`).join('');

describe('the lexer', () => {
  it('blanks comments, strings and regular expressions of TypeScript', () => {
    const template = `b(\`{$\{c({ d: 1 })}{\`);`;
    const code = codeOf(`a('{'); // {\n${template} /* { */ e(/[/{]/);`, 'typescript');
    expect(code.replace(/ /g, '')).toBe('a();\nb(c({d:1}));e();');
  });
  it('blanks comments, literals and directives of C++, not separators of digits', () => {
    const code = codeOf(
      '#define X {\nint a = 1\'000; char b = \'{\'; auto c = R"x({")x"; // {',
      'cpp',
    );
    expect(code.replace(/ /g, '')).toBe("\ninta=1'000;charb=;autoc=R;".replace("'", "'"));
  });
});

describe('the function finder', () => {
  const heads = (code: string, language: 'cpp' | 'typescript') =>
    functionsOf(code, language).map(({ head, lines }) => `${head} ${lines}`);

  it('sees functions, methods, arrows and lambdas, not blocks', () => {
    expect(
      heads(
        'class A {\n  b(c: D): E {\n    if (c) {\n    }\n  }\n}\nconst f = (g) => {\n};\n',
        'typescript',
      ),
    ).toEqual(['b(c: D): E 4', 'const f = (g) => 2']);
    expect(
      heads(
        'namespace a {\nstruct B {\n  int c() const {\n    for (;;) {\n    }\n  }\n};\n}',
        'cpp',
      ),
    ).toEqual(['int c() const 4']);
    expect(heads('A::A(int b) : b_{b}, c_(b) {\n  d();\n}', 'cpp')).toHaveLength(1);
    expect(heads('function f({ a, b }: C): void {\n}\n', 'typescript')).toHaveLength(1);
  });
  it('measures a function from its own head, not from that of the expression around it', () => {
    const inList = functionsOf('const a = [\n  1,\n  (b) => {\n  },\n];\n', 'typescript');
    expect(inList.map(({ line, lines }) => [line, lines])).toEqual([[3, 2]]);
    const lambda = functionsOf('Register a(\n    1,\n    [](int b) {\n    });\n', 'cpp');
    expect(lambda.map(({ line, lines }) => [line, lines])).toEqual([[3, 2]]);
  });
  it('leaves the list of tests in a describe alone', () => {
    const suite = "function a() {\n  describe('b', () => {\n  });\n}";
    expect(heads(suite, 'typescript')).toEqual([]);
    expect(
      heads("describe('a', () => {\n  it('b', () => {\n  });\n});", 'typescript'),
    ).toHaveLength(1);
  });
});

describe('the rules can fail', () => {
  it('includes of C++ go down only', () => {
    expect(cpp('native/wire/a.h', '#include "memory/packet.h"')).toHaveLength(1);
    expect(cpp('native/base/a.h', '#include "wire/ipv4.h"')).toHaveLength(1);
    expect(cpp('native/pipeline/a.cc', '#include "port/port.h"')).toHaveLength(1);
    expect(cpp('native/worker/a.cc', '#include <napi.h>')).toHaveLength(1);
    expect(cpp('native/elsewhere/a.cc', '')).toHaveLength(1);
    expect(cpp('native/port/a.h', '#include "memory/packet.h"\n#include <vector>')).toEqual([]);
    expect(cpp('native/addon/a.cc', '#include <napi.h>\n#include "worker/worker.h"')).toEqual([]);
  });
  it('imports of TypeScript go down only', () => {
    expect(typeScript('src/model/a.ts', "import { b } from '../session/b.js';")).toHaveLength(1);
    expect(typeScript('src/store/a.ts', "import { b } from '../datapath/b.js';")).toHaveLength(1);
    expect(typeScript('src/n4/codec/a.ts', "import { b } from '../b.js';")).toHaveLength(1);
    expect(typeScript('src/cli/a.ts', "const b = await import('../session/b.js');")).toHaveLength(
      1,
    );
    expect(typeScript('src/elsewhere/a.ts', '')).toHaveLength(1);
    expect(typeScript('src/main.test.ts', "import { b } from './api/b.js';")).toEqual([]);
    expect(typeScript('src/main.ts', "import { b } from './api/b.js';")).toEqual([]);
    expect(typeScript('src/session/a.ts', "import { b } from '../model/b.js';")).toEqual([]);
  });
  it('sizes', () => {
    expect(sizeComplaints({ path: 'src/a.ts', text: '\n'.repeat(401) })).toHaveLength(1);
    expect(
      sizeComplaints({ path: 'src/a.ts', text: `function f() {\n${numbered(59)}}\n` }),
    ).toHaveLength(1);
    expect(
      sizeComplaints({ path: 'src/a.ts', text: `function f() {\n${numbered(58)}}\n` }),
    ).toEqual([]);
    expect(
      sizeComplaints({ path: 'native/a.cc', text: `void f() {\n${numbered(59)}}\n` }),
    ).toHaveLength(1);
  });
  it('names', () => {
    const bad = [
      'src/base/utils.ts',
      'native/common/a.h',
      'src/a/fooBar.ts',
      'native/a/foo-bar.cc',
    ];
    expect(bad.flatMap(nameComplaints)).toHaveLength(bad.length);
    expect(nameComplaints('src/base/work-queue.test.ts')).toEqual([]);
    expect(nameComplaints('native/base/timer_wheel.h')).toEqual([]);
  });
  it('leftovers', () => {
    const bad = [
      `// ${'TO'}DO: later`,
      `const a = '/${'work'}/main/b';`,
      "it.only('a', () => {});",
      "describe.skip('a', () => {});",
      'class SessionManager {}',
    ];
    for (const text of bad) expect(leftoverComplaints({ path: 'src/a.ts', text })).toHaveLength(1);
    expect(leftoverComplaints({ path: 'src/a.ts', text: "a('it.only(');" })).toEqual([]);
    const disabled = 'TEST(A, DISABLED_B) {}';
    expect(leftoverComplaints({ path: 'native/a_test.cc', text: disabled })).toHaveLength(1);
  });
  it('purity', () => {
    const file = (text: string) => purityComplaints({ path: 'src/model/a.ts', text });
    expect(file("import { readFileSync } from 'node:fs';")).toHaveLength(1);
    expect(file('const now = Date.now();')).toHaveLength(1);
    expect(file('const now = clock.now();')).toEqual([]);
  });
  it('folders', () => {
    const many = Array.from({ length: 13 }, (_, i) => ({
      path: `src/base/a${i}.ts`,
      text: '/**\n * What it is.\n * Any thread.\n */\n',
    }));
    expect(complaintsAboutFolders(many)).toHaveLength(1);
    expect(complaintsAboutFolders(many.slice(1))).toEqual([]);
    expect(complaintsAboutFolders([{ path: 'native/base/a.h', text: 'int a;\n' }])).toHaveLength(1);
    expect(openingComment('#pragma once\n\n// One.\n// Two.\n\n// Three.\n')).toEqual([
      ' One.',
      ' Two.',
    ]);
  });
});

/** Optional packages that a lock file names but does not lock: npm ci refuses such a file. */
function unlockedPackages(text: string): string[] {
  const lock = JSON.parse(text) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const locked = Object.keys(lock.packages);
  return Object.values(lock.packages)
    .flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
    .filter((name) => !locked.some((path) => path.endsWith(`node_modules/${name}`)));
}

describe('the lock file', () => {
  it('locks the optional packages of other machines too', () => {
    const incomplete = { packages: { 'node_modules/a': { optionalDependencies: { b: '1' } } } };
    expect(unlockedPackages(JSON.stringify(incomplete))).toEqual(['b']);
    expect(unlockedPackages(readFileSync(join(root, 'package-lock.json'), 'utf8'))).toEqual([]);
  });
});

describe('the packages', () => {
  it('are each there for a reason that is written down', () => {
    const { dependencies, devDependencies } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
    const reasons = readFileSync(join(root, 'docs/decisions/0001-dependencies.md'), 'utf8');
    const listed = new Set(
      [...reasons.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, names]) => names!.trim().split(', ')),
    );
    const packages = Object.entries({ ...dependencies, ...devDependencies });
    expect(packages.filter(([name]) => !listed.has(name))).toEqual([]);
    expect(packages.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

describe('the repository', () => {
  const files = repository();

  it('is read', () => {
    expect(files.length).toBeGreaterThan(20);
  });
  it('keeps the rules in every file', () => {
    expect(files.flatMap(complaintsAbout)).toEqual([]);
  });
  it('keeps its folders small and introduced', () => {
    expect(complaintsAboutFolders(files)).toEqual([]);
  });
});
