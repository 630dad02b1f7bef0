/**
 * Writes PFCP messages, octet by octet as the document wants them. What does not fit is left
 * out, and finish() tells so; nothing is ever written past the bound. Owner: one thread each,
 * used again for every message. Order: begin(), elements, finish().
 */
import * as Ie from './ie.js';
import { writeWord } from './octets.js';
import { VOLUME_TOTAL, type Volume } from './values/volume.js';

/** Larger datagrams would be fragmented on many paths. */
export const MESSAGE_MAX = 1400;
const LENGTH_MAX = 0xffff;
const DEPTH_MAX = 8;
const VERSION_1 = 0x20;
const FLAG_SEID = 1;
/** Seconds from 1900, where NTP begins, to 1970. */
export const NTP_EPOCH_S = 2_208_988_800;
const KINDS = 6;

export class MessageWriter {
  readonly bytes: Uint8Array;
  length = 0;
  /** Something did not fit and is not there. */
  overflowed = false;
  private depth = 0;
  private readonly openAt = new Uint32Array(DEPTH_MAX);

  /** `limit` in octets, header included. */
  constructor(limit = MESSAGE_MAX) {
    this.bytes = new Uint8Array(limit);
  }

  /** Starts a message: with a SEID for those of sessions. */
  begin(messageType: number, hasSeid: boolean, seidLow = 0, seidHigh = 0): void {
    this.beginBody();
    const bytes = this.bytes;
    bytes[0] = VERSION_1 | (hasSeid ? FLAG_SEID : 0);
    bytes[1] = messageType;
    if (hasSeid) {
      writeWord(bytes, 4, seidHigh);
      writeWord(bytes, 8, seidLow);
    }
    this.length = hasSeid ? 16 : 8;
  }

  /** Starts elements without a header. */
  beginBody(): void {
    this.length = 0;
    this.overflowed = false;
    this.depth = 0;
  }

  /** Completes header and lengths. False: it did not fit, the message is not to be sent. */
  finish(sequence: number): boolean {
    const bytes = this.bytes;
    const at = (bytes[0]! & FLAG_SEID) !== 0 ? 12 : 4;
    bytes[2] = (this.length - 4) >>> 8;
    bytes[3] = this.length - 4;
    bytes[at] = sequence >>> 16;
    bytes[at + 1] = sequence >>> 8;
    bytes[at + 2] = sequence;
    bytes[at + 3] = 0;
    return !this.overflowed && this.depth === 0;
  }

  /** Opens a group: what follows is in it until close(). */
  open(ieType: number): void {
    const at = this.allocate(ieType, 0);
    if (this.depth < DEPTH_MAX) this.openAt[this.depth] = at;
    else this.overflowed = true;
    this.depth++;
  }
  close(): void {
    this.depth--;
    const at = this.openAt[this.depth]!;
    const length = this.length - at;
    if (this.overflowed) return;
    this.bytes[at - 2] = length >>> 8;
    this.bytes[at - 1] = length;
  }

  u8(ieType: number, value: number): void {
    const at = this.allocate(ieType, 1);
    if (at !== 0) this.bytes[at] = value;
  }
  u16(ieType: number, value: number): void {
    const at = this.allocate(ieType, 2);
    if (at !== 0) this.half(at, value);
  }
  u32(ieType: number, value: number): void {
    const at = this.allocate(ieType, 4);
    if (at !== 0) writeWord(this.bytes, at, value);
  }
  u64(ieType: number, low: number, high: number): void {
    const at = this.allocate(ieType, 8);
    if (at === 0) return;
    writeWord(this.bytes, at, high);
    writeWord(this.bytes, at + 4, low);
  }
  /** Flags as MessageReader.flags() has them, in that many octets (1 to 4). */
  flags(ieType: number, value: number, octets: number): void {
    const at = this.allocate(ieType, octets);
    if (at === 0) return;
    for (let octet = 0; octet < octets; octet++) this.bytes[at + octet] = value >>> (octet * 8);
  }
  /** A time in seconds since 1970; NTP's seconds wrap in 2036, as they are meant to. */
  time(ieType: number, unixSeconds: number): void {
    this.u32(ieType, (unixSeconds + NTP_EPOCH_S) >>> 0);
  }
  /** A value as it is. */
  copy(ieType: number, source: Uint8Array, start = 0, length = source.length): void {
    const at = this.allocate(ieType, length);
    if (at !== 0) this.raw(at, source, start, length);
  }
  /** Whole elements, headers included, as they are. */
  elements(source: Uint8Array, start: number, length: number): void {
    if (length > this.bytes.length - this.length) {
      this.overflowed = true;
      return;
    }
    this.raw(this.length, source, start, length);
    this.length += length;
  }

  cause(value: number): void {
    this.u8(Ie.Cause, value);
  }
  offendingIe(type: number): void {
    this.u16(Ie.OffendingIe, type);
  }
  /** A Node ID's value, as nodeIdValue() makes it. */
  nodeId(value: Uint8Array): void {
    this.copy(Ie.NodeId, value);
  }
  recoveryTimeStamp(unixSeconds: number): void {
    this.time(Ie.RecoveryTimeStamp, unixSeconds);
  }
  /** Failed Rule ID: `type` 0 PDR, 1 FAR, 2 QER, 3 URR, 4 BAR. */
  failedRuleId(type: number, id: number): void {
    const length = RULE_ID_LENGTHS[type] ?? 4;
    const at = this.allocate(Ie.FailedRuleId, 1 + length);
    if (at === 0) return;
    this.bytes[at] = type;
    for (let octet = 0; octet < length; octet++) {
      this.bytes[at + 1 + octet] = id >>> ((length - 1 - octet) * 8);
    }
  }
  /** IPv4 as a word, IPv6 as 4 words from words[wordsAt] on. */
  fSeid(
    low: number,
    high: number,
    hasIpv4: boolean,
    ipv4: number,
    hasIpv6: boolean,
    words: Uint32Array,
    wordsAt = 0,
  ): void {
    const at = this.allocate(Ie.FSeid, 9 + (hasIpv4 ? 4 : 0) + (hasIpv6 ? 16 : 0));
    if (at === 0) return;
    this.bytes[at] = (hasIpv4 ? 2 : 0) | (hasIpv6 ? 1 : 0);
    writeWord(this.bytes, at + 1, high);
    writeWord(this.bytes, at + 5, low);
    this.addresses(at + 9, hasIpv4, ipv4, hasIpv6, words, wordsAt);
  }
  fTeid(
    teid: number,
    hasIpv4: boolean,
    ipv4: number,
    hasIpv6: boolean,
    words: Uint32Array,
    wordsAt = 0,
  ): void {
    const at = this.allocate(Ie.FTeid, 5 + (hasIpv4 ? 4 : 0) + (hasIpv6 ? 16 : 0));
    if (at === 0) return;
    this.bytes[at] = (hasIpv4 ? 1 : 0) | (hasIpv6 ? 2 : 0);
    writeWord(this.bytes, at + 1, teid);
    this.addresses(at + 5, hasIpv4, ipv4, hasIpv6, words, wordsAt);
  }
  /** UE IP Address: one of a UE, which for answers is a destination. */
  ueIpAddress(
    hasIpv4: boolean,
    ipv4: number,
    hasIpv6: boolean,
    words: Uint32Array,
    wordsAt = 0,
  ): void {
    const at = this.allocate(Ie.UeIpAddress, 1 + (hasIpv4 ? 4 : 0) + (hasIpv6 ? 16 : 0));
    if (at === 0) return;
    this.bytes[at] = (hasIpv4 ? 2 : 0) | (hasIpv6 ? 1 : 0);
    this.addresses(at + 1, hasIpv4, ipv4, hasIpv6, words, wordsAt);
  }
  /** Remote GTP-U Peer: its address only. */
  remoteGtpUPeer(
    hasIpv4: boolean,
    ipv4: number,
    hasIpv6: boolean,
    words: Uint32Array,
    wordsAt = 0,
  ): void {
    const at = this.allocate(Ie.RemoteGtpUPeer, 1 + (hasIpv4 ? 4 : 0) + (hasIpv6 ? 16 : 0));
    if (at === 0) return;
    this.bytes[at] = (hasIpv4 ? 2 : 0) | (hasIpv6 ? 1 : 0);
    this.addresses(at + 1, hasIpv4, ipv4, hasIpv6, words, wordsAt);
  }
  /** Volume Measurement, Volume Threshold, Volume Quota: what volume.flags says. */
  volume(ieType: number, volume: Volume): void {
    let count = 0;
    for (let kind = 0; kind < KINDS; kind++) count += (volume.flags >>> kind) & VOLUME_TOTAL;
    let at = this.allocate(ieType, 1 + count * 8);
    if (at === 0) return;
    this.bytes[at++] = volume.flags;
    for (let kind = 0; kind < KINDS; kind++) {
      if (((volume.flags >>> kind) & 1) === 0) continue;
      writeWord(this.bytes, at, volume.words[kind * 2 + 1]!);
      writeWord(this.bytes, at + 4, volume.words[kind * 2]!);
      at += 8;
    }
  }

  /** Writes an element's type and length; where its value goes, or 0 when it does not fit. */
  private allocate(ieType: number, length: number): number {
    const at = this.length + 4;
    if (this.overflowed || length > this.bytes.length - at || length > LENGTH_MAX) {
      this.overflowed = true;
      return 0;
    }
    this.half(at - 4, ieType);
    this.half(at - 2, length);
    this.length = at + length;
    return at;
  }

  private half(at: number, value: number): void {
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value;
  }

  private raw(at: number, source: Uint8Array, start: number, length: number): void {
    const bytes = this.bytes;
    for (let octet = 0; octet < length; octet++) bytes[at + octet] = source[start + octet]!;
  }

  private addresses(
    at: number,
    hasIpv4: boolean,
    ipv4: number,
    hasIpv6: boolean,
    words: Uint32Array,
    wordsAt: number,
  ): void {
    let to = at;
    if (hasIpv4) {
      writeWord(this.bytes, to, ipv4);
      to += 4;
    }
    if (!hasIpv6) return;
    for (let word = 0; word < 4; word++)
      writeWord(this.bytes, to + word * 4, words[wordsAt + word]!);
  }
}

/** PDR, FAR, QER, URR, BAR. */
const RULE_ID_LENGTHS = [2, 4, 4, 4, 1];
