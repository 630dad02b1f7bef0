/**
 * The repository's rules as pure functions over {path, text}: who may import whom, sizes,
 * names, comments, leftovers. Each returns complaints; no complaint means that the rule
 * holds. Start at complaintsAbout() and complaintsAboutFolders(). Pure; any thread.
 */
import { basename, dirname } from 'node:path/posix';
import { functionsOf } from './functions.js';
import { importsOfCpp, importsOfTypeScript } from './imports.js';
import { codeOf, type Language } from './source-text.js';

export interface SourceFile {
  /** Relative to the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

export const limits = { fileLines: 400, functionLines: 60, folderFiles: 12, openingLines: 10 };

export function languageOf(path: string): Language | undefined {
  if (/\.(cc|h|def)$/.test(path)) return 'cpp';
  return /\.(ts|mjs)$/.test(path) ? 'typescript' : undefined;
}

export function isTest(path: string): boolean {
  const marked = /(_(test|fixture)(_\w+)?\.(cc|h)|\.(test|fixture|contract)\.ts)$/;
  return marked.test(path) || path.startsWith('test/');
}

/** Everything that is wrong with one file by itself. */
export function complaintsAbout(file: SourceFile): string[] {
  return [
    ...nameComplaints(file.path),
    ...sizeComplaints(file),
    ...leftoverComplaints(file),
    ...importsOfCpp(file),
    ...importsOfTypeScript(file),
    ...purityComplaints(file),
  ];
}

const vagueWord = /(^|[-_.])(utils?|helpers?|managers?|common)([-_.]|$)/i;

export function nameComplaints(path: string): string[] {
  const complaints: string[] = [];
  if (path.split('/').some((part) => vagueWord.test(part))) {
    complaints.push(`${path}: a name that says nothing (utils, helpers, manager, common)`);
  }
  const name = basename(path);
  if (/\.(ts|mjs|sh)$/.test(name) && !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/.test(name)) {
    complaints.push(`${path}: not kebab-case`);
  }
  if (/\.(cc|h|def|py)$/.test(name) && !/^[a-z0-9]+(_[a-z0-9]+)*\.[a-z]+$/.test(name)) {
    complaints.push(`${path}: not snake_case`);
  }
  return complaints;
}

export function sizeComplaints({ path, text }: SourceFile): string[] {
  const language = languageOf(path);
  if (language === undefined) return [];
  const complaints: string[] = [];
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  if (lines > limits.fileLines) complaints.push(`${path}: ${lines} lines`);
  for (const span of functionsOf(codeOf(text, language), language)) {
    if (span.lines <= limits.functionLines) continue;
    complaints.push(`${path}:${span.line}: a function of ${span.lines} lines: ${span.head}`);
  }
  return complaints;
}

// Written apart so that the rule does not complain of itself.
const unfinished = new RegExp(
  `\\b(${['TO', 'FIX', 'X'].map((a, i) => a + ['DO', 'ME', 'XX'][i]).join('|')})\\b`,
);
const machinePath = new RegExp(`(^|[\\s'"\`(=:])/(${['work', 'root', 'home'].join('|')})/\\w`);
const vagueType = /\b(class|struct|interface)\s+\w*(Manager|Helper|Utils?|Common)\b/;

export function leftoverComplaints({ path, text }: SourceFile): string[] {
  const complaints: string[] = [];
  const language = languageOf(path);
  const code = language === undefined ? '' : codeOf(text, language);
  const rules: [RegExp, string, string][] = [
    [unfinished, text, 'a note of unfinished work'],
    [machinePath, text, 'a path of one machine'],
    [/\b(describe|it|test)\s*\.\s*(only|skip|todo)\b/, code, 'a test that is left out or alone'],
    [/\bTEST(_F|_P)?\(\s*\w+,\s*DISABLED_/, code, 'a test that is left out'],
    [vagueType, code, 'a type name that says nothing'],
  ];
  for (const [pattern, where, complaint] of rules) {
    where.split('\n').forEach((line, index) => {
      if (pattern.test(line)) complaints.push(`${path}:${index + 1}: ${complaint}: ${line.trim()}`);
    });
  }
  return complaints;
}

const pureFolders = ['src/model/', 'src/n4/codec/'];

/** Model and codecs do no I/O and read no clock. */
export function purityComplaints({ path, text }: SourceFile): string[] {
  if (isTest(path) || !pureFolders.some((folder) => path.startsWith(folder))) return [];
  const complaints: string[] = [];
  const impure = /from 'node:(fs|net|dgram|http|https|http2|child_process|worker_threads|timers)\b/;
  if (impure.test(text)) complaints.push(`${path}: pure code does no I/O`);
  const clock =
    /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bhrtime\b|\bset(Timeout|Interval)\b/;
  if (clock.test(codeOf(text, 'typescript'))) complaints.push(`${path}: pure code reads no clock`);
  return complaints;
}

/** What is wrong with folders as a whole: too many files, or none that introduces the folder. */
export function complaintsAboutFolders(files: readonly SourceFile[]): string[] {
  const byFolder = new Map<string, SourceFile[]>();
  for (const file of files) {
    if (languageOf(file.path) === undefined || isTest(file.path)) continue;
    const folder = dirname(file.path);
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), file]);
  }
  const complaints: string[] = [];
  for (const [folder, members] of byFolder) {
    // A header and its source are one thing to find one's way by.
    const units = new Set(members.map(({ path }) => path.replace(/\.(cc|h|ts|mjs|def)$/, '')));
    if (units.size > limits.folderFiles) complaints.push(`${folder}: ${units.size} product files`);
    if (!/^(src|native)\//.test(`${folder}/`) || folder === 'src') continue;
    if (!members.some(({ text }) => introduces(openingComment(text)))) {
      complaints.push(`${folder}: no file opens with what the folder is and which threads use it`);
    }
  }
  return complaints;
}

/** The comment that a file opens with, without its marks; empty lines end it. */
export function openingComment(text: string): string[] {
  const lines = text.replace(/^#pragma once\n+/, '').split('\n');
  if (lines[0]?.startsWith('/*')) {
    const end = lines.findIndex((line) => line.includes('*/'));
    const inside = lines.slice(0, end + 1).map((line) => line.replace(/^\s*\/?\*+\/?|\*\/$/g, ''));
    return inside.filter((line) => line.trim() !== '');
  }
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines.slice(0, end < 0 ? lines.length : end).map((line) => line.replace(/^\/+/, ''));
}

function introduces(comment: readonly string[]): boolean {
  const size = comment.length;
  return size >= 2 && size <= limits.openingLines && /thread|\bpure\b/i.test(comment.join(' '));
}
