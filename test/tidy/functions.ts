/**
 * Finds functions and their lengths in code without comments and literals. A block is a
 * function's body when what stands before its brace looks like a function's head.
 * Functions inside functions are measured too. Pure; any thread.
 */
import type { Language } from './source-text.js';

export interface FunctionSpan {
  /** First line of the head, from 1. */
  readonly line: number;
  readonly lines: number;
  readonly head: string;
}

interface OpenBlock {
  readonly head: string;
  readonly line: number;
  /** False for a block that only lists tests: each of them is measured by itself. */
  isFunction: boolean;
  /** Parentheses open where the block began. */
  readonly parentheses: number;
}

/** Every function of the given code; `code` comes from codeOf(). */
export function functionsOf(code: string, language: Language): FunctionSpan[] {
  const found: FunctionSpan[] = [];
  const open: OpenBlock[] = [];
  let line = 1;
  let head = '';
  let headLine = 1;
  let parentheses = 0;
  for (const char of code) {
    if (head.trim() === '') headLine = line;
    if (char === '(' || char === '[') parentheses += 1;
    if (char === ')' || char === ']') parentheses -= 1;
    if (char === '{') {
      const isFunction = isFunctionHead(tidied(head), language);
      if (listsTests(head)) for (const block of open) block.isFunction = false;
      // Inside a larger expression, or behind an arrow, what came before is not the function's.
      const within = parentheses > 0 || head.trimEnd().endsWith('=>');
      open.push({ head, line: within ? line : headLine, isFunction, parentheses });
      parentheses = 0;
      head = '';
    } else if (char === '}') {
      const block = open.pop();
      parentheses = block?.parentheses ?? 0;
      if (block?.isFunction) {
        found.push({ line: block.line, lines: line - block.line + 1, head: tidied(block.head) });
      }
      head = block !== undefined && isExpression(block, language) ? `${block.head}{}` : '';
      if (head !== '') headLine = block!.line;
    } else if (char === ';' && parentheses === 0) {
      head = '';
    } else {
      head += char;
    }
    if (char === '\n') line += 1;
  }
  return found;
}

const control = /^(if|for|while|switch|catch|else|do|try|return|with|case|default)\b/;
const cppScope =
  /^(inline namespace|namespace|class|struct|enum|union|extern|template ?<.*> ?(class|struct))\b/;

function tidied(head: string): string {
  return head.trim().replace(/\s+/g, ' ');
}

/** Whether the block was part of a larger expression or head, which goes on after it. */
function isExpression(block: OpenBlock, language: Language): boolean {
  if (block.parentheses > 0) return true;
  const head = tidied(block.head);
  if (language === 'typescript' || block.isFunction || head === '') return false;
  return !cppScope.test(head) && !control.test(head);
}

function isFunctionHead(head: string, language: Language): boolean {
  return language === 'cpp' ? isCppHead(head) : isTypeScriptHead(head);
}

/** The callback of a describe(). */
function listsTests(head: string): boolean {
  return /\bdescribe\b[^;]*=>\s*$/.test(head);
}

function isCppHead(head: string): boolean {
  if (control.test(head) || (cppScope.test(head) && !head.includes('('))) return false;
  const tail = /\)( ?(const|noexcept|override|final|mutable|&&?|-> ?[\w:<>*&, ]+))*$/;
  return tail.test(head) || /\) ?(noexcept ?)?: .*[)}]$/.test(head);
}

function isTypeScriptHead(head: string): boolean {
  if (head.endsWith('=>')) return !listsTests(head);
  if (control.test(head)) return false;
  return (
    /\bfunction\b.*\)( ?:.*)?$/.test(head) || /^[\w$#*?\s.[\]@<>,]*\(.*\)( ?:[^=]*)?$/.test(head)
  );
}
