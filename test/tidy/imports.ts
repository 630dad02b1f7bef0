/**
 * Who may import whom: lower levels only, siblings never. A folder that has no level yet
 * is a complaint, so that a new one gets its place on purpose. Pure; any thread.
 */
import { dirname, join } from 'node:path/posix';
import type { SourceFile } from './rules.js';

const cppLevels: Record<string, number> = {
  base: 0,
  memory: 1,
  wire: 1,
  crypto: 1,
  session: 2,
  port: 2,
  datagram: 2,
  pipeline: 3,
  worker: 4,
  gnb: 4,
  smf: 4,
  addon: 5,
  fuzz: 6,
  bench: 6,
};
/** Includes that the levels would allow but the design does not. */
const cppForbidden: readonly [string, string][] = [['pipeline', 'port']];

/** Includes of one C++ file that go up, sideways, or to Node outside the addon. */
export function importsOfCpp({ path, text }: SourceFile): string[] {
  if (!/^native\/.*\.(cc|h|def)$/.test(path)) return [];
  const folder = path.split('/')[1]!;
  const level = cppLevels[folder];
  if (level === undefined) return [`${path}: folder ${folder} has no level in the import order`];
  const complaints: string[] = [];
  for (const [, name] of text.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)) {
    const complaint = cppComplaint(folder, level, name!);
    if (complaint !== undefined) complaints.push(`${path}: includes ${name}: ${complaint}`);
  }
  return complaints;
}

function cppComplaint(folder: string, level: number, name: string): string | undefined {
  if (/^(napi.*|node_api.*|js_native_api.*|uv|v8)\.h$/.test(name)) {
    return folder === 'addon' ? undefined : 'only the addon knows Node';
  }
  const target = name.split('/')[0]!;
  const targetLevel = cppLevels[target];
  if (!name.includes('/') || targetLevel === undefined || target === folder) return undefined;
  if (targetLevel >= level) return `${target} is not below ${folder}`;
  const forbidden = cppForbidden.some(([from, to]) => from === folder && to === target);
  return forbidden ? `${folder} does not know ${target}` : undefined;
}

/** Longest match wins, so that n4/codec is apart from n4. */
const typeScriptLevels: readonly [string, number][] = [
  ['src/base', 0],
  ['src/model', 1],
  ['src/datapath', 2],
  ['src/store', 2],
  ['src/crypto', 2],
  ['src/n4/codec', 2],
  ['src/session', 3],
  ['src/protection', 3],
  ['src/n4/transport', 3],
  ['src/n4', 4],
  ['src/api', 4],
  ['src/tools', 4],
  ['src/upf-node.ts', 5],
  ['src/main.ts', 6],
  ['src/upf-node.test.ts', 7],
];
/** The command line is a client: it sees these and its own files, nothing else of the product. */
const cliMayImport = ['src/cli', 'src/base', 'src/tools', 'src/api/generated', 'src/main.ts'];

/** A test has the place of what it tests. */
function placeOf(tested: string): [string, number] | undefined {
  const path = tested.replace(/\.(test|fixture|contract)\.ts$/, '.ts');
  return typeScriptLevels
    .filter(([place]) => path === place || path.startsWith(`${place}/`))
    .sort(([a], [b]) => b.length - a.length)[0];
}

/** Imports of one TypeScript product file that go up or sideways. */
export function importsOfTypeScript({ path, text }: SourceFile): string[] {
  if (!/^src\/.*\.ts$/.test(path)) return [];
  const isCli = path.startsWith('src/cli/');
  const place = placeOf(path);
  if (place === undefined && !isCli) return [`${path}: has no level in the import order`];
  const complaints: string[] = [];
  const imports = /\b(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;
  for (const [, name] of text.matchAll(imports)) {
    const target = join(dirname(path), name!).replace(/\.js$/, '.ts');
    if (!target.startsWith('src/')) {
      if (!/\.(test|fixture|contract)\.ts$/.test(path))
        complaints.push(`${path}: imports ${name}, outside src`);
    } else if (isCli ? !mayCli(target) : !mayImport(place!, target)) {
      complaints.push(`${path}: imports ${name}, which is not below it`);
    }
  }
  return complaints;
}

function mayCli(target: string): boolean {
  return cliMayImport.some((place) => target === place || target.startsWith(`${place}/`));
}

function mayImport([place, level]: [string, number], target: string): boolean {
  const targetPlace = placeOf(target);
  if (targetPlace === undefined) return false;
  return targetPlace[0] === place || targetPlace[1] < level;
}
