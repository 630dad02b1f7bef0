/** What people see of a PFCP message. Pure. */
import type { N4TraceMessage } from '../api/messages.js';
import { formatTimestamp } from '../api/proto-json.js';

/** A message with all its elements, one a line, groups indented. */
export function traceText(message: N4TraceMessage): string {
  const elements = JSON.parse(message.elements ?? '{}') as Record<string, unknown>;
  return [briefText(message), ...elementLines(elements, '  ')].join('\n');
}

export function briefText(message: N4TraceMessage): string {
  const { sent, remote = '', node_id = '', seid = 0, sequence = 0, faults = [] } = message;
  const peer = node_id === '' || remote.includes(node_id) ? remote : `${remote} (${node_id})`;
  const name = message.message === '' ? 'not PFCP' : message.message;
  const session = BigInt(seid) === 0n ? '' : `  SEID 0x${BigInt(seid).toString(16)}`;
  const wrong = faults.length === 0 ? '' : `  ! ${faults.join(', ')}`;
  const time = message.time === undefined ? '' : formatTimestamp(message.time).slice(11, 23);
  const cause = causeOf(message);
  return `${time} ${sent === true ? '>' : '<'} ${peer}  ${name}  ${sequence}${session}${cause}${wrong}`;
}

function causeOf({ elements = '{}' }: N4TraceMessage): string {
  const { Cause: cause } = JSON.parse(elements) as { Cause?: unknown };
  return cause === undefined ? '' : `  ${String(cause)}`;
}

function elementLines(elements: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(elements).flatMap(([name, value]) => {
    const items = Array.isArray(value) && !isScalars(value) ? value : [value];
    return items.flatMap((item) => elementLine(name, item, indent));
  });
}

function elementLine(name: string, value: unknown, indent: string): string[] {
  if (!isGroup(value)) return [`${indent}${name}: ${valueText(value)}`];
  return [`${indent}${name}`, ...elementLines(value, `${indent}  `)];
}

/** Elements have names of the document, parts of values have ours, which begin small. */
function isGroup(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.keys(value).every((key) => !/^[a-z]/.test(key) || key === 'malformed');
}

/** Flags, or short values that stand there several times: one line has them all. */
function isScalars(value: readonly unknown[]): boolean {
  return value.every((item) => typeof item !== 'object');
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(valueText).join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  const parts = Object.entries(value).map(([name, part]) =>
    name === 'flags' ? flagsText(part) : `${name} ${valueText(part)}`,
  );
  return parts.join(', ');
}

function flagsText(flags: unknown): string {
  return Array.isArray(flags) ? flags.join('|') || '-' : String(flags);
}
