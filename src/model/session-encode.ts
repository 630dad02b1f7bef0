/**
 * A record as a protobuf Session, outputs included. {@link ProtobufWriter} writes from the
 * end towards the front: the code runs from the last field to the first, and from the last
 * element of a list to its first. Pure; any thread, one writer each. Answers around it are
 * in result-encode.ts.
 */
import type { ProtobufWriter } from './protobuf.js';
import { encodeRef, encodeTimestampMs } from './protobuf-values.js';
import * as record from './record.js';
import * as layout from './record-layout.js';
import { encodeFar } from './rules/far-encode.js';
import { encodePdr } from './rules/pdr-encode.js';
import { encodeBar, encodeQer } from './rules/qer-bar-encode.js';
import { encodeUrr } from './rules/urr/urr-encode.js';

/** Adds the body of a Session message; `worker` is not in the record but where it runs now. */
export function encodeSession(
  writer: ProtobufWriter,
  words: Uint32Array,
  base: number,
  worker: number,
): void {
  writer.reserve(0);
  writer.uint32(13, worker);
  encodeTimestampMs(writer, 12, record.createTime(words, base));
  encodeRules(writer, words, base);
  writer.reserve(0);
  encodeRef(writer, 6, words, base, words[base + layout.HEADER_DNN]!);
  writer.uint32(5, record.pdnType(words, base));
  encodeRef(writer, 4, words, base, words[base + layout.HEADER_OWNER]!);
  writer.uint64(
    3,
    words[base + layout.HEADER_REVISION_LOW]!,
    words[base + layout.HEADER_REVISION_HIGH]!,
  );
  writer.uint64(2, words[base + layout.HEADER_SEID_LOW]!, words[base + layout.HEADER_SEID_HIGH]!);
  encodeRef(writer, 1, words, base, words[base + layout.HEADER_NAME]!);
}

function encodeRules(writer: ProtobufWriter, words: Uint32Array, base: number): void {
  const fars = record.farsAt(words, base);
  const qers = record.qersAt(words, base);
  const urrs = record.urrsAt(words, base);
  const bars = record.barsAt(words, base);
  for (let index = record.barCount(words, base) - 1; index >= 0; index--) {
    encodeBar(writer, 11, words, bars + index * layout.BAR_WORDS);
  }
  for (let index = record.urrCount(words, base) - 1; index >= 0; index--) {
    encodeUrr(writer, 10, words, base, urrs + index * layout.URR_WORDS, urrs, fars);
  }
  for (let index = record.qerCount(words, base) - 1; index >= 0; index--) {
    encodeQer(writer, 9, words, base, qers + index * layout.QER_WORDS);
  }
  for (let index = record.farCount(words, base) - 1; index >= 0; index--) {
    encodeFar(writer, 8, words, base, fars + index * layout.FAR_WORDS, bars);
  }
  for (let index = record.pdrCount(words, base) - 1; index >= 0; index--) {
    encodePdr(writer, 7, words, base, index);
  }
}
