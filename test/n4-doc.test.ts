/**
 * Keeps docs/N4.md and the codec's table honest: the tables are those of the code, and an
 * element counts as supported when, and only when, something beside the codec names it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tablesOfProtocol } from '../src/n4/codec/document.js';
import * as Ie from '../src/n4/codec/ie.js';
import { clauseOf } from '../src/n4/codec/table/clauses.js';
import { elements } from '../src/n4/codec/table/table.js';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Written by methods of MessageWriter that have names of their own. */
const typedWriters = ['Cause', 'OffendingIe', 'NodeId', 'FailedRuleId', 'RemoteGtpUPeer'];
/** A TEID that the CP function chose is taken with RESTI as without it. */
const nothingToDo = ['PfcpSeReqFlags'];

/** Passed over but in a Session Set Deletion Request, which would mean another set without it. */
const namedToRefuse = ['GroupId', 'CpIpAddress'];

function namesUsed(): Set<string> {
  const folder = join(root, 'src', 'n4');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.ts$/.test(path) && !/^codec\/|\.(test|fixture|contract)\.ts$/.test(path),
  );
  const texts = files.map((path) => readFileSync(join(folder, path), 'utf8'));
  const names = texts.flatMap((text) =>
    [...text.matchAll(/\bIe\.(\w+)/g)].map(([, name]) => name!),
  );
  const used = new Set([...names, ...typedWriters, ...nothingToDo]);
  for (const name of namedToRefuse) used.delete(name);
  return used;
}

describe('docs/N4.md', () => {
  it('has the tables of the codec; else run npm run n4-doc', () => {
    const text = readFileSync(join(root, 'docs', 'N4.md'), 'utf8');
    const [, tables] = /<!-- tables: begin -->\n(.*)<!-- tables: end -->/s.exec(text) ?? [];
    expect(tables).toBe(tablesOfProtocol());
  });
});

describe('what the table of the codec says of each element', () => {
  const used = namesUsed();
  const named = new Map(Object.entries(Ie).map(([name, type]) => [type, name]));

  it('is about every element that there is', () => {
    expect(elements.map(({ type }) => type)).toEqual(Object.values(Ie).sort((a, b) => a - b));
    expect(new Set(elements.map(({ name }) => name)).size).toBe(elements.length);
  });
  it('has a clause of its own', () => {
    const vague = elements.filter(({ type }) => !/^(7\.\d|8\.2)\.\d/.test(clauseOf(type)));
    expect(vague).toEqual([]);
  });
  it.each(['supported', 'ignored'] as const)('%s: is so in the code', (handling) => {
    const wrong = elements
      .filter((element) => element.handling === handling)
      .map(({ type }) => named.get(type)!)
      .filter((name) => used.has(name) !== (handling === 'supported'));
    expect(wrong).toEqual([]);
  });
});
