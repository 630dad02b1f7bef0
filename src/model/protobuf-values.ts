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
  // A multiple of 2^32 and its remainder by 10^9 are exact in a double, and so is their
  // difference: it is a multiple of 10^9, which has nine zero bits at its end.
  const upper = (high >>> 0) * HIGH;
  const remainder = upper % NANOS_PER_SECOND;
  const rest = remainder + (low >>> 0);
  const carried = Math.floor(rest / NANOS_PER_SECOND);
  const seconds = (upper - remainder) / NANOS_PER_SECOND + carried;
  encodeSeconds(writer, field, seconds, rest - carried * NANOS_PER_SECOND);
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
