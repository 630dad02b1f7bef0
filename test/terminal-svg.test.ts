/** The picture of a terminal: what stands on the screen stands in it, where and as it stands. */
import { expect, it } from 'vitest';
import { lastScreen, runsOf, terminalSvg } from '../scripts/terminal-svg.mjs';

const output =
  '\x1b[?1049h\x1b[H\x1b[1mold\x1b[0m\x1b[K\x1b[H\x1b[1mtitle\x1b[0m  a<b\x1b[K\r\n' +
  '\x1b[33mwarn\x1b[0m\x1b[K\r\n\x1b[1;37;41mgone\x1b[0m\x1b[K\x1b[?25h\x1b[?1049l';

it('takes the last whole screen', () => {
  const lines = lastScreen(output);
  expect(lines).toHaveLength(3);
  expect(
    lines.map((line) =>
      runsOf(line)
        .map(({ text }) => text)
        .join(''),
    ),
  ).toEqual(['title  a<b', 'warn', 'gone']);
  expect(() => lastScreen('nothing')).toThrow('no screen');
});

it('keeps styles, and says what it does not know', () => {
  expect(runsOf('\x1b[1mA\x1b[0mB')).toMatchObject([
    { text: 'A', bold: true },
    { text: 'B', bold: false },
  ]);
  expect(runsOf('\x1b[1;37;41mX\x1b[0m')[0]).toMatchObject({ colour: '#ffffff' });
  expect(() => runsOf('\x1b[5;1H')).toThrow('unknown sequence');
  expect(() => runsOf('\x1b[99mx')).toThrow('unknown style 99');
});

it('is well-formed, with one text for each run', () => {
  const svg = terminalSvg(lastScreen(output), 20, 'a & b');
  expect(svg).toContain('a &amp; b</text>');
  expect(svg).toContain('>  a&lt;b</text>');
  expect(svg.match(/<text /g)).toHaveLength(1 + 4);
  expect(svg.match(/<(svg|g|text)\b/g)?.length).toBe(svg.match(/<\/(svg|g|text)>/g)?.length);
});
