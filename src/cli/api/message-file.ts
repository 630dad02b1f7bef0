/** Sessions or protections from a file: JSON or YAML, one or many (a list, or several YAML documents). */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { unusable } from '../../tools/files.js';
import { ToolError } from '../../tools/tool-error.js';
import type { Protection, Session } from './messages.js';
import type { ProtoJson } from './proto-json.js';

interface Kinds {
  readonly Session: Session;
  readonly Protection: Protection;
}

/** Reads all messages of a file ("-": standard input); errors name file, line or field. */
export function readMessageFile<K extends keyof Kinds>(
  kind: K,
  file: string,
  json: ProtoJson,
): Kinds[K][] {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw unusable(file, error);
  }
  const documents = parseAllDocuments(text);
  const messages: Kinds[K][] = [];
  for (const document of documents) {
    const [error] = document.errors;
    if (error !== undefined) {
      const line = error.linePos?.[0].line;
      const what = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '');
      throw new ToolError(`${file}${line === undefined ? '' : `:${line}`}: ${what}`);
    }
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) {
      messages.push(parseOne(kind, file, json, item, messages.length));
    }
  }
  if (messages.length === 0) throw new ToolError(`${file}: no ${kind.toLowerCase()} in it`);
  return messages;
}

function parseOne<K extends keyof Kinds>(
  kind: K,
  file: string,
  json: ProtoJson,
  value: unknown,
  position: number,
): Kinds[K] {
  try {
    return json.fromJson(kind, value) as Kinds[K];
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new ToolError(`${file}: ${kind.toLowerCase()} ${position + 1}: ${error.message}`);
  }
}
