/** Network Instance, APN/DNN and FQDNs. Source: TS 29.244 clauses 8.2.4, 8.2.38, 8.2.117. */
import type { MessageReader } from '../message-reader.js';

const DOT = 0x2e;

/**
 * Whether octets are labels (a length, then as many octets, again and again) to the last
 * one. Text of a DNN practically never is, as its first letter would have to be its length.
 */
export function isLabels(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end) return false;
  let at = start;
  while (at < end) {
    const length = bytes[at]!;
    if (length === 0 || length > 63) return false;
    at += 1 + length;
  }
  return at === end;
}

/** The text of a Network Instance or a DNN, whichever way the sender wrote it. */
export class InstanceText {
  /** Good until the next read(). */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  length = 0;
  private readonly plain = new Uint8Array(256);

  /** Sets the fields to where the text is; 0 octets for none. */
  read(reader: MessageReader, index: number): void {
    this.decode(reader.bytes, reader.valueAt[index]!, reader.valueLength[index]!);
  }

  decode(bytes: Uint8Array, start: number, length: number): void {
    const end = start + length;
    this.bytes = bytes;
    this.start = start;
    this.length = length;
    if (length > this.plain.length || !isLabels(bytes, start, end)) return;
    for (let at = start + 1; at < end; at++) this.plain[at - start - 1] = bytes[at]!;
    for (let at = start + 1 + bytes[start]!; at < end; at += 1 + bytes[at]!) {
      this.plain[at - start - 1] = DOT;
    }
    this.bytes = this.plain;
    this.start = 0;
    this.length = length - 1;
  }

  toString(): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.start, this.length).toString(
      'utf8',
    );
  }
}

/** Labels of a text with dots; undefined: one of them is empty or longer than 63 octets. */
export function labelsOf(text: string): Uint8Array | undefined {
  const parts = text.split('.').map((part) => Buffer.from(part, 'utf8'));
  if (parts.some((part) => part.length === 0 || part.length > 63)) return undefined;
  return Buffer.concat(parts.flatMap((part) => [Buffer.of(part.length), part]));
}
