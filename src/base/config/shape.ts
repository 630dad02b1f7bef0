import { z } from 'zod';
import { type ConfigIssue, keyText } from './issue.js';
import type { YamlSource } from './source.js';

/** A whole number in a range; the one complaint says the range. */
export function whole(min: number, max: number): z.ZodNumber {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A text that `accepts`; the one complaint says what it must be. */
export function text(mustBe: string, accepts: (value: string) => boolean): z.ZodString {
  const error = `must be ${mustBe}`;
  return z.string({ error }).refine(accepts, { error });
}

export function oneOf<const T extends readonly [string, ...string[]]>(
  values: T,
): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` });
}

export function flag(): z.ZodBoolean {
  return z.boolean({ error: 'must be true or false' });
}

export function list<T extends z.ZodType>(item: T, mustBe: string): z.ZodArray<T> {
  return z.array(item, { error: `must be a list of ${mustBe}` });
}

/** A mapping that knows its keys; what else is in it is an error that names the nearest. */
export function section<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? // explain() splits this one by key; the text carries what it needs.
          JSON.stringify(Object.keys(shape))
        : `must be a mapping with the keys ${Object.keys(shape).join(', ')}`,
  });
}

/** The complaints of one issue of zod, each at its place. */
export function explain(issue: z.core.$ZodIssue, source: YamlSource): ConfigIssue[] {
  if (issue.code === 'unrecognized_keys') {
    const allowed = JSON.parse(issue.message) as string[];
    return issue.keys.map((key) =>
      source.issueAtKey([...issue.path, key], unknownKey(key, allowed)),
    );
  }
  if (issue.input === undefined) return [missing(issue, source)];
  return [source.issue(issue.path, `${issue.message}, not ${shown(issue.input)}`)];
}

function missing(issue: z.core.$ZodIssue, source: YamlSource): ConfigIssue {
  const parent = issue.path.slice(0, -1);
  const place = source.issue(parent, '');
  return { ...place, key: keyText(issue.path), message: `is missing: it ${issue.message}` };
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const near = nearest(key, allowed);
  const hint = near === undefined ? '' : `did you mean ${near}? `;
  return `unknown key; ${hint}allowed here: ${allowed.join(', ')}`;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

function nearest(key: string, allowed: readonly string[]): string | undefined {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '');
  const wanted = plain(key);
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.ceil(wanted.length / 2));
  for (const name of allowed) {
    const distance = editDistance(wanted, plain(name));
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements, and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const cost = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number): number => cost[i * width + j] ?? 0;
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      if (i === 0 || j === 0) {
        cost[i * width + j] = i + j;
        continue;
      }
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, at(i - 2, j - 2) + 1);
      cost[i * width + j] = least;
    }
  }
  return at(a.length, b.length);
}
