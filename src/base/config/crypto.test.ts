import { expect, it } from 'vitest';
import { parseConfig } from './config.js';

it('takes a word for where SM4 is done', () => {
  expect(parseConfig('', 'x.yaml').crypto).toMatchObject({ mode: 'inline', lanesMin: 1 });
  const { crypto } = parseConfig('crypto: auto', 'x.yaml');
  expect(crypto).toEqual({ ...parseConfig('', 'x.yaml').crypto, mode: 'auto' });
  expect(parseConfig('crypto: { mode: lanes, lanesMin: 2 }', 'x.yaml').crypto).toMatchObject({
    mode: 'lanes',
    lanesMin: 2,
    lanesMax: 0,
  });
});

it.each([
  [
    'crypto: fast',
    'bad.yaml:1:9: crypto: must be one of inline, lanes, auto, or a mapping with the keys nodeKey, alarmPacketsPerSecond, mode, lanesMin, lanesMax, not "fast"',
  ],
  [
    'crypto: { mode: fast, lanesMax: 17, lanes: 2 }',
    'bad.yaml:1:17: crypto.mode: must be one of inline, lanes, auto, not "fast"\n' +
      'bad.yaml:1:33: crypto.lanesMax: must be a whole number from 0 to 16, not 17\n' +
      'bad.yaml:1:37: crypto.lanes: unknown key; allowed here: nodeKey, alarmPacketsPerSecond, mode, lanesMin, lanesMax',
  ],
  [
    'crypto: { lanesMin: 3, lanesMax: 2 }',
    'bad.yaml:1:34: crypto.lanesMax: is below crypto.lanesMin, which is 3',
  ],
])('refuses %s', (yaml, complaint) => {
  expect(() => parseConfig(yaml, 'bad.yaml')).toThrow(complaint);
});
