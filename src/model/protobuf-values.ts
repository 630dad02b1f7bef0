/**
 * Values that several messages hold, written into protobuf: times, addresses, texts.
 * {@link ProtobufWriter} writes from the end towards the front, so in all encoders what is
 * last in a message comes first in the code. Pure; any thread.
 */
import { ipv4Before, ipv6Before } from '../base/ip-text.js';
import type { ProtobufWriter } from './protobuf.js';
import { refAt, refLength } from './record.js';

const NANOS_PER_SECOND = 1e9;
const HIGH = 4294967296;
const DIGIT = 65536;

/** google.protobuf.Timestamp of milliseconds since 1970; left out when 0. */
export function encodeTimestampMs(writer: ProtobufWriter, field: number, ms: number): void {
  if (ms !== 0) encodeDurationMs(writer, field, ms);
}

/** google.protobuf.Duration, 0 too. */
export function encodeDurationMs(writer: ProtobufWriter, field: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  encodeSeconds(writer, field, seconds, (ms - seconds * 1000) * 1e6);
}

/** Timestamp or Duration of 64-bit nanoseconds, exact without 64-bit integers. */
export function encodeNanoseconds(
  writer: ProtobufWriter,
  field: number,
  low: number,
  high: number,
): void {
  // Long division by digits of 16 bits: every step stays exact in a double.
  let seconds = 0;
  let rest = 0;
  for (let shift = 48; shift >= 0; shift -= 16) {
    rest = rest * DIGIT + (((shift >= 32 ? high : low) >>> (shift & 31)) & (DIGIT - 1));
    const quotient = Math.floor(rest / NANOS_PER_SECOND);
    seconds = seconds * DIGIT + quotient;
    rest -= quotient * NANOS_PER_SECOND;
  }
  encodeSeconds(writer, field, seconds, rest);
}

function encodeSeconds(
  writer: ProtobufWriter,
  field: number,
  seconds: number,
  nanos: number,
): void {
  const mark = writer.size;
  writer.uint32(2, nanos);
  writer.uint64(1, (seconds % HIGH) | 0, (seconds / HIGH) | 0);
  writer.close(field, mark);
}

export function encodeIpv4(writer: ProtobufWriter, field: number, address: number): void {
  const mark = writer.size;
  writer.position = ipv4Before(writer.bytes, writer.position, address);
  writer.close(field, mark);
}

/** The address at words[at…]. */
export function encodeIpv6(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  at: number,
): void {
  const mark = writer.size;
  writer.position = ipv6Before(writer.bytes, writer.position, words, at);
  writer.close(field, mark);
}

/** A Ref's text; left out when absent. */
export function encodeRef(
  writer: ProtobufWriter,
  field: number,
  words: Uint32Array,
  base: number,
  ref: number,
): void {
  if (ref !== 0) writer.words(field, words, refAt(base, ref), refLength(ref));
}
