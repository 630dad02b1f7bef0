import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as layout from './record-layout.js';

const header = readFileSync(new URL('../../native/session/record.h', import.meta.url), 'utf8');
const constants = layout as unknown as Readonly<Record<string, number>>;

/** UplinkMbrLow → UPLINK_MBR_LOW, Ipv4 → IPV4, FTeid → F_TEID. */
function upper(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toUpperCase();
}

function body(namespace: string): string {
  const match = new RegExp(`namespace ${namespace} \\{([\\s\\S]*?)\\n\\}(?!;)`).exec(header);
  return (match?.[1] ?? '').replace(/\/\/.*$/gm, '');
}

function enumWords(namespace: string): [string, number][] {
  const text = /enum Word : unsigned \{([\s\S]*?)\}/.exec(body(namespace))?.[1] ?? '';
  return [...text.matchAll(/(\w+) = (\d+)/g)].map(([, name, value]) => [name!, Number(value)]);
}

function flags(namespace: string): [string, number][] {
  const text = body(namespace).replace(/enum Word[\s\S]*?\};/, '');
  return [...text.matchAll(/\bk(\w+) = (\d+)/g)].map(([, name, value]) => [name!, Number(value)]);
}

describe('record layout', () => {
  it.each(['header', 'pdr', 'far', 'qer', 'urr', 'urr_more', 'monitor', 'bar', 'filter'])(
    'has the words of %s in record.h',
    (namespace) => {
      const words = enumWords(namespace);
      expect(words.length).toBeGreaterThan(2);
      for (const [name, value] of words) {
        const key = `${namespace.toUpperCase()}_${upper(name)}`;
        expect([key, constants[key]]).toEqual([key, value]);
      }
    },
  );

  it.each(['header', 'pdr', 'far', 'qer', 'urr', 'urr_more', 'filter'])(
    'has the flags of %s in record.h',
    (namespace) => {
      const found = flags(namespace);
      expect(found.length).toBeGreaterThan(2);
      const table = namespace.toUpperCase();
      for (const [name, value] of found) {
        const keys = [
          upper(name),
          `${table}_${upper(name)}`,
          `${table}_HAS_${upper(name)}`,
          `ACTION_${upper(name)}`,
        ];
        const values = keys.map((key) => constants[key]).filter((known) => known !== undefined);
        expect([name, values]).toEqual([name, expect.arrayContaining([value])]);
      }
    },
  );

  it.each(['Header', 'Pdr', 'Far', 'Qer', 'Urr', 'UrrMore', 'Monitor', 'Bar', 'Filter'])(
    'has the size of a %s in record.h',
    (table) => {
      const size = new RegExp(`k${table}Words = (\\d+)`).exec(header)?.[1];
      expect(constants[`${upper(table)}_WORDS`]).toBe(Number(size));
    },
  );

  it('has the limits and the magic of record.h', () => {
    const magic = /kMagic = (0x[0-9a-f]+)/.exec(header)?.[1];
    expect(layout.RECORD_MAGIC).toBe(Number(magic));
    expect(header).toContain('kBytesMax = 256 * 1024 - 4');
    expect(layout.RECORD_WORDS_MAX).toBe(65535);
  });
});
