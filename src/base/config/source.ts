import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import { ConfigError, type ConfigIssue, keyText } from './issue.js';

type Keys = readonly PropertyKey[];

/** A YAML text with the overrides laid over it, that still knows where each key stands. */
export class YamlSource {
  readonly value: unknown;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #root: Node | null;
  readonly #overrides: Readonly<Record<string, unknown>>;

  constructor(file: string, text: string, overrides: Readonly<Record<string, unknown>>) {
    this.#file = file;
    this.#overrides = overrides;
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      // A list as a key is a complaint of ours, not a warning of Node's.
      logLevel: 'error',
      // A merge key or a tag of another language would be a value that no check expects.
      merge: false,
    });
    const faults = [...document.errors, ...document.warnings];
    if (faults.length > 0) {
      throw new ConfigError(
        faults.map((fault) => ({ file, ...this.#place(fault.pos[0]), message: fault.message })),
      );
    }
    this.#root = isNode(document.contents) ? document.contents : null;
    this.value = overlaid(this.#plain(document.toJS.bind(document)), overrides);
  }

  /** Whether the file or the command line gives this key, as opposed to a default. */
  has(keys: Keys): boolean {
    let value = this.value;
    for (const key of keys) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false;
      value = (value as Record<PropertyKey, unknown>)[key];
    }
    return value !== undefined;
  }

  /** A complaint about the value at `keys`; about the nearest parent when it isn't there. */
  issue(keys: Keys, message: string): ConfigIssue {
    return { ...this.#placeOf(keys, false), key: keyText(keys), message };
  }

  /** A complaint about the key itself, such as one that isn't known. */
  issueAtKey(keys: Keys, message: string): ConfigIssue {
    return { ...this.#placeOf(keys, true), key: keyText(keys), message };
  }

  #plain(toJs: () => unknown): unknown {
    try {
      return withoutNulls(toJs()) ?? {};
    } catch (error) {
      // Only aliases fail here: unresolved ones, and those that multiply.
      throw new ConfigError([{ file: this.#file, message: (error as Error).message }]);
    }
  }

  #placeOf(keys: Keys, atKey: boolean): Pick<ConfigIssue, 'file' | 'line' | 'column'> {
    if (within(this.#overrides, keys)) return { file: 'command line' };
    let node: Node | null = this.#root;
    let offset = node?.range?.[0];
    for (const [index, key] of keys.entries()) {
      const child = childOf(node, key);
      if (child === undefined) break;
      node = child.value;
      const last = index === keys.length - 1;
      offset = (atKey && last) || node === null ? child.keyOffset : node.range?.[0];
    }
    return { file: this.#file, ...(offset === undefined ? {} : this.#place(offset)) };
  }

  #place(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }
}

function childOf(
  parent: Node | null,
  key: PropertyKey,
): { value: Node | null; keyOffset: number | undefined } | undefined {
  // What an alias stands for is written elsewhere: complain where it is used.
  if (parent === null || isAlias(parent)) return undefined;
  if (isMap(parent)) {
    const pair = parent.items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(key),
    );
    if (pair === undefined) return undefined;
    const keyNode = pair.key as Node;
    return { value: isNode(pair.value) ? pair.value : null, keyOffset: keyNode.range?.[0] };
  }
  if (isSeq(parent) && typeof key === 'number') {
    const item = parent.items[key];
    return isNode(item) ? { value: item, keyOffset: item.range?.[0] } : undefined;
  }
  return undefined;
}

/** `api:` with nothing after it means the defaults, just as leaving it out. */
function withoutNulls(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return value ?? undefined;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null)
      .map(([key, item]) => [key, withoutNulls(item)]),
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function overlaid(base: unknown, over: unknown): unknown {
  if (over === undefined || (isPlainObject(over) && Object.keys(over).length === 0)) return base;
  if (!isPlainObject(over) || !isPlainObject(base)) return over;
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) result[key] = overlaid(result[key], value);
  return result;
}

function within(overrides: unknown, keys: Keys): boolean {
  let value = overrides;
  if (keys.length === 0) return false;
  for (const key of keys) {
    // A list or a scalar of the command line replaces the file's as a whole.
    if (!isPlainObject(value)) return value !== undefined;
    if (!Object.hasOwn(value, key)) return false;
    value = value[String(key)];
  }
  return value !== undefined;
}
