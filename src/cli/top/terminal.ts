/**
 * A whole terminal for one program: alternate screen, no cursor, keys one by one; given back as
 * it was however the program ends. One thread, that of the process.
 */
import type { Line, ScreenSize, Style } from './screen.js';

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const END_OF_LINE = '\x1b[K';
const RESET = '\x1b[0m';
const SGR: Readonly<Record<Style, string>> = {
  plain: '',
  title: '\x1b[1m',
  head: '\x1b[1;36m',
  dim: '\x1b[2m',
  good: '\x1b[32m',
  warn: '\x1b[33m',
  bad: '\x1b[31m',
  alarm: '\x1b[1;37;41m',
};
/** Without colours (NO_COLOR) what is emphasised still is. */
const SGR_PLAIN: Readonly<Record<Style, string>> = {
  ...SGR,
  head: '\x1b[1m',
  good: '',
  warn: '\x1b[1m',
  bad: '\x1b[1m',
  alarm: '\x1b[7m',
};
const SIZE_DEFAULT: ScreenSize = { columns: 80, rows: 24 };
const KEY_INTERRUPT = '\x03';
const KEY_SUSPEND = '\x1a';

export interface TerminalEvents {
  /** The person wants to leave. */
  readonly onQuit: () => void;
  /** The size has changed, or the screen has to be drawn again. */
  readonly onRedraw: () => void;
}

export class Terminal {
  #entered = false;
  readonly #colours = (process.env.NO_COLOR ?? '') === '' ? SGR : SGR_PLAIN;
  readonly #restore = (): void => this.#leave();
  readonly #resume = (): void => {
    this.#enter();
    this.events.onRedraw();
  };
  readonly #key = (data: Buffer): void => {
    for (const key of data.toString('latin1')) {
      if (key === 'q' || key === 'Q' || key === KEY_INTERRUPT) this.events.onQuit();
      else if (key === KEY_SUSPEND) this.#suspend();
    }
  };

  constructor(private readonly events: TerminalEvents) {}

  get size(): ScreenSize {
    const { columns, rows } = process.stdout;
    // A terminal that does not say its size says 0.
    return { columns: columns || SIZE_DEFAULT.columns, rows: rows || SIZE_DEFAULT.rows };
  }

  open(): void {
    // Also for an exception: whatever ends the process leaves a usable terminal.
    process.on('exit', this.#restore);
    process.on('SIGTERM', this.events.onQuit);
    process.on('SIGHUP', this.events.onQuit);
    process.on('SIGINT', this.events.onQuit);
    process.on('SIGCONT', this.#resume);
    process.stdout.on('resize', this.events.onRedraw);
    this.#enter();
  }

  close(): void {
    this.#leave();
    process.off('exit', this.#restore);
    process.off('SIGTERM', this.events.onQuit);
    process.off('SIGHUP', this.events.onQuit);
    process.off('SIGINT', this.events.onQuit);
    process.off('SIGCONT', this.#resume);
    process.stdout.off('resize', this.events.onRedraw);
  }

  draw(lines: readonly Line[]): void {
    if (!this.#entered) return;
    const text = lines.map((line) => {
      const pieces = line.map(({ text: part, style }) => {
        const sgr = this.#colours[style];
        return sgr === '' ? part : `${sgr}${part}${RESET}`;
      });
      return `${pieces.join('')}${END_OF_LINE}`;
    });
    process.stdout.write(`${HOME}${text.join('\r\n')}`);
  }

  #enter(): void {
    if (this.#entered) return;
    this.#entered = true;
    process.stdout.write(ENTER);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#key);
    process.stdin.resume();
  }

  #leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    process.stdout.write(LEAVE);
    if (!process.stdin.isTTY) return;
    process.stdin.off('data', this.#key);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }

  /** As a shell's user expects of Ctrl-Z; SIGCONT brings the screen back. */
  #suspend(): void {
    this.#leave();
    process.kill(process.pid, 'SIGTSTP');
  }
}
