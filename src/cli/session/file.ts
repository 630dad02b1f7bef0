/** Sessions from a file: JSON or YAML, one or many (a list, or several YAML documents). */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { ToolError } from '../../tools/tool-error.js';
import type { Session } from '../api/messages.js';
import type { ProtoJson } from '../api/proto-json.js';

/** Reads all sessions of a file ("-": standard input); errors name file, line or field. */
export function readSessionFile(file: string, json: ProtoJson): Session[] {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new ToolError(`cannot read ${file}: ${reason(error as NodeJS.ErrnoException)}`);
  }
  const documents = parseAllDocuments(text);
  const sessions: Session[] = [];
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
      sessions.push(parseOne(file, json, item, sessions.length));
    }
  }
  if (sessions.length === 0) throw new ToolError(`${file}: no session in it`);
  return sessions;
}

function parseOne(file: string, json: ProtoJson, value: unknown, position: number): Session {
  try {
    return json.fromJson('Session', value) as Session;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new ToolError(`${file}: session ${position + 1}: ${error.message}`);
  }
}

function reason(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such file';
  if (error.code === 'EISDIR') return 'it is a folder';
  return error.code ?? error.message;
}
