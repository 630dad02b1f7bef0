/**
 * Source text with its comments and literals blanked out, so that rules read code only.
 * Lexes just enough of C++ and TypeScript: comments, strings, templates, regular
 * expressions, raw strings. Line numbers and columns are kept. Pure; any thread.
 */

export type Language = 'cpp' | 'typescript';

/** The code alone: every comment and literal character became a space; line ends stay. */
export function codeOf(text: string, language: Language): string {
  const lexer = new Lexer(text, language);
  return lexer.run();
}

class Lexer {
  private at = 0;
  private out = '';
  /** Depth of braces inside each open template substitution. */
  private readonly templateDepths: number[] = [];

  constructor(
    private readonly text: string,
    private readonly language: Language,
  ) {}

  run(): string {
    while (this.at < this.text.length) this.step();
    return this.out;
  }

  private step(): void {
    const rest = this.text.slice(this.at, this.at + 2);
    const char = this.text[this.at]!;
    if (rest === '//') this.blankTo(this.indexAfter('\n') - 1);
    else if (rest === '/*') this.blankTo(this.indexAfter('*/', 2));
    else if (this.language === 'cpp') this.stepCpp(char);
    else this.stepTypeScript(char);
  }

  private stepCpp(char: string): void {
    if (char === '"' && this.text[this.at - 1] === 'R') {
      const open = this.text.indexOf('(', this.at);
      this.blankTo(this.indexAfter(`)${this.text.slice(this.at + 1, open)}"`, 1));
    } else if (char === '"') this.blankTo(this.endOfString('"'));
    // An apostrophe after a digit separates digits: 1'000.
    else if (char === "'" && !/\w/.test(this.out.at(-1) ?? '')) this.blankTo(this.endOfString("'"));
    else if (char === '#' && /(^|\n)[ \t]*$/.test(this.out.slice(-80))) this.blankDirective();
    else this.keep();
  }

  private stepTypeScript(char: string): void {
    if (char === '"' || char === "'") this.blankTo(this.endOfString(char));
    else if (char === '`') this.template(this.at + 1);
    else if (char === '/' && this.startsRegExp()) this.blankTo(this.endOfRegExp());
    else if (char === '{' || char === '}') this.brace(char);
    else this.keep();
  }

  private brace(char: string): void {
    const last = this.templateDepths.length - 1;
    if (char === '}' && this.templateDepths[last] === 0) {
      this.templateDepths.pop();
      this.template(this.at + 1);
      return;
    }
    if (last >= 0) this.templateDepths[last]! += char === '{' ? 1 : -1;
    this.keep();
  }

  /** Blanks template text up to the closing backquote, or to a substitution that is code again. */
  private template(from: number): void {
    let end = from;
    while (end < this.text.length && this.text[end] !== '`') {
      if (this.text.startsWith('${', end)) {
        this.templateDepths.push(0);
        this.blankTo(end + 2);
        return;
      }
      end += this.text[end] === '\\' ? 2 : 1;
    }
    this.blankTo(end + 1);
  }

  private startsRegExp(): boolean {
    const before = this.out.slice(-200).trimEnd();
    return before === '' || /[(,=:[!&|?{};+*%<>~^-]$|\b(return|typeof|case|in|of)$/.test(before);
  }

  private endOfRegExp(): number {
    let inClass = false;
    let end = this.at + 1;
    for (; end < this.text.length && this.text[end] !== '\n'; end += 1) {
      const char = this.text[end];
      if (char === '\\') end += 1;
      else if (char === '[') inClass = true;
      else if (char === ']') inClass = false;
      else if (char === '/' && !inClass) break;
    }
    return end + 1;
  }

  private endOfString(quote: string): number {
    let end = this.at + 1;
    while (end < this.text.length && this.text[end] !== quote && this.text[end] !== '\n') {
      end += this.text[end] === '\\' ? 2 : 1;
    }
    return end + 1;
  }

  /** A preprocessor directive with its continuation lines: its braces need not balance. */
  private blankDirective(): void {
    let end = this.indexAfter('\n') - 1;
    while (this.text[end - 1] === '\\' && end < this.text.length) {
      const next = this.text.indexOf('\n', end + 1);
      end = next < 0 ? this.text.length : next;
    }
    this.blankTo(end);
  }

  private indexAfter(mark: string, skip = 0): number {
    const found = this.text.indexOf(mark, this.at + skip);
    return found < 0 ? this.text.length + 1 : found + mark.length;
  }

  private blankTo(end: number): void {
    const stop = Math.min(Math.max(end, this.at + 1), this.text.length);
    this.out += this.text.slice(this.at, stop).replace(/[^\n]/g, ' ');
    this.at = stop;
  }

  private keep(): void {
    this.out += this.text[this.at];
    this.at += 1;
  }
}
