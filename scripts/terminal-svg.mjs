// One screen of a terminal as an SVG picture: lines of text with the colours that the program
// gave them. Understands what `sluice top` writes (colours, bold, dim; the cursor moves for
// whole screens only), and says so of anything else. Pure.

const CHARACTER = { width: 8.43, height: 18, size: 14 };
const MARGIN = 16;
const BAR = 30;
const COLOURS = {
  text: '#d8dee9',
  dim: '#6b7485',
  background: '#161a22',
  bar: '#232936',
  30: '#2e3440',
  31: '#ef6b73',
  32: '#8fcf7a',
  33: '#f0c674',
  34: '#7aa2f7',
  35: '#c792ea',
  36: '#67d4e0',
  37: '#ffffff',
};
const HOME = '\x1b[H';

/** The last screen that was drawn as a whole, in the bytes that a program wrote. */
export function lastScreen(output) {
  const screens = output.split(HOME);
  if (screens.length < 2) throw new Error('the program has drawn no screen');
  // What follows the last screen is the farewell to the terminal.
  const [screen] = screens.at(-1).split('\x1b[?25h');
  return screen.replaceAll('\r', '').split('\n');
}

/** Runs of one line: text with the style in force. */
export function runsOf(line) {
  const runs = [];
  let style = { colour: COLOURS.text, bold: false, background: undefined };
  let rest = line;
  while (rest !== '') {
    const start = rest.indexOf('\x1b');
    const text = start < 0 ? rest : rest.slice(0, start);
    if (text !== '') runs.push({ text, ...style });
    if (start < 0) break;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what terminals read
    const sequence = /^\x1b\[([0-9;]*)([A-Za-z])/.exec(rest.slice(start));
    if (sequence === null) throw new Error(`unknown sequence in ${JSON.stringify(line)}`);
    if (sequence[2] === 'm') style = styled(style, sequence[1]);
    else if (sequence[2] !== 'K')
      throw new Error(`unknown sequence ${JSON.stringify(sequence[0])}`);
    rest = rest.slice(start + sequence[0].length);
  }
  return runs;
}

function styled(style, codes) {
  let next = { ...style };
  for (const code of codes.split(';').map(Number)) {
    if (code === 0) next = { colour: COLOURS.text, bold: false, background: undefined };
    else if (code === 1) next.bold = true;
    else if (code === 2) next.colour = COLOURS.dim;
    else if (code >= 30 && code <= 37) next.colour = COLOURS[code];
    else if (code >= 40 && code <= 47) next.background = COLOURS[code - 10];
    else throw new Error(`unknown style ${code}`);
  }
  return next;
}

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const place = (value) => String(Math.round(value * 100) / 100);

/** @param lines  of one screen, with their colours */
export function terminalSvg(lines, columns, title) {
  const width = columns * CHARACTER.width + 2 * MARGIN;
  const height = BAR + lines.length * CHARACTER.height + 2 * MARGIN;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${place(width)}" height="${place(height)}" viewBox="0 0 ${place(width)} ${place(height)}" role="img" aria-label="${escaped(title)}">`,
    `<rect width="100%" height="100%" rx="8" fill="${COLOURS.background}"/>`,
    `<path d="M0 ${BAR}V8a8 8 0 0 1 8-8h${place(width - 16)}a8 8 0 0 1 8 8v${BAR - 8}z" fill="${COLOURS.bar}"/>`,
    ...[COLOURS[31], COLOURS[33], COLOURS[32]].map(
      (colour, i) => `<circle cx="${18 + i * 18}" cy="${BAR / 2}" r="5.5" fill="${colour}"/>`,
    ),
    `<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="${CHARACTER.size}">`,
    `<text x="${place(width / 2)}" y="${BAR / 2 + 5}" text-anchor="middle" fill="${COLOURS.dim}">${escaped(title)}</text>`,
  ];
  lines.forEach((line, row) => {
    const y = BAR + MARGIN + (row + 1) * CHARACTER.height - 4;
    let column = 0;
    for (const { text, colour, bold, background } of runsOf(line)) {
      const x = MARGIN + column * CHARACTER.width;
      const length = [...text].length;
      column += length;
      if (background !== undefined) {
        out.push(
          `<rect x="${place(x)}" y="${place(y - CHARACTER.size)}" width="${place(length * CHARACTER.width)}" height="${CHARACTER.height}" fill="${background}"/>`,
        );
      }
      if (text.trim() === '') continue;
      const weight = bold ? ' font-weight="bold"' : '';
      out.push(
        `<text x="${place(x)}" y="${place(y)}" fill="${colour}"${weight} xml:space="preserve">${escaped(text)}</text>`,
      );
    }
  });
  out.push('</g>', '</svg>');
  return `${out.join('\n')}\n`;
}
