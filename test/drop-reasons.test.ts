/** The operator's table of drop reasons says what native/base/drop_reason.def says. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

test('docs/OPERATIONS.md lists every drop reason, in order, in its own words', () => {
  const defined = [
    ...read('native/base/drop_reason.def').matchAll(
      /^SLUICE_DROP_REASON\(\w+, "([^"]+)", "([^"]+)"\)/gm,
    ),
  ].map(([, label, text]) => ({ label, text }));
  const chapter = read('docs/OPERATIONS.md').split('\n## Drop reasons\n')[1]?.split('\n## ')[0];
  const documented = [...(chapter ?? '').matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm)].map(
    ([, label, text]) => ({ label, text }),
  );
  expect(defined.length).toBeGreaterThan(30);
  expect(documented).toEqual(defined);
});
