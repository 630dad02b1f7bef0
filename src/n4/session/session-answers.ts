/**
 * Answers to session requests, from the session's record. What the UPF has chosen is told by
 * PDR, or by traffic endpoint where an endpoint asked for it.
 * Source: TS 29.244 clauses 7.5.3, 7.5.5, 7.5.7. Owner: the control thread; one for all.
 */
import { pdrCount, pdrsAt } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import type { AdvertisedAddresses } from '../../session/advertised-addresses.js';
import type { RecordPlace } from '../../session/engine.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import { MessageWriter } from '../codec/message-writer.js';
import { type NodeIdentity, writeUpFSeid } from '../node/node-identity.js';
import type { RuleRefusal } from '../rules/rule-refusal.js';
import type { Transaction } from '../transaction.js';
import { ANSWER_MAX, writeFurther, writeUsage, writeUsages } from './usage/usage-encode.js';

const ANSWER_BYTES_MAX = 32 * 1024;
const IPV6_PREFIX_WORDS = 2;
/** Added to the ID of a traffic endpoint among IDs of PDRs. */
export const TELL_ENDPOINT = 0x1_0000;
const CHOSEN = layout.F_TEID_PRESENT | layout.F_TEID_CHOSEN_HERE;
const AUTO = (layout.PDR_UE_IPV4_AUTO | layout.PDR_UE_IPV6_AUTO) << 16;

export class SessionAnswers {
  /** What was created has to be told in one message, however many PDRs there are. */
  private readonly writer = new MessageWriter(ANSWER_BYTES_MAX);
  private readonly prefix = new Uint32Array(4);
  /** Traffic endpoints that the answer at hand has told of, a bit each. */
  private readonly told = new Uint32Array(8);

  constructor(
    private readonly identity: NodeIdentity,
    private readonly advertised: AdvertisedAddresses,
  ) {}

  established(transaction: Transaction, place: RecordPlace): void {
    const { writer } = this;
    const { words, start } = place;
    writer.begin(
      Message.SessionEstablishmentResponse,
      true,
      words[start + layout.HEADER_CP_SEID_LOW]!,
      words[start + layout.HEADER_CP_SEID_HIGH]!,
    );
    writer.nodeId(this.identity.nodeId);
    writer.cause(Cause.Accepted);
    this.fSeid(words[start + layout.HEADER_SEID_LOW]!, words[start + layout.HEADER_SEID_HIGH]!);
    this.created(place, null);
    transaction.answer(writer);
  }

  /**
   * @param told  IDs of PDRs that the request created or gave a new PDI, and, with
   *   {@link TELL_ENDPOINT}, of traffic endpoints.
   * @return the first entry of `usage` that found no room.
   */
  modified(
    transaction: Transaction,
    place: RecordPlace,
    told: Uint32Array,
    usage: Uint32Array,
  ): number {
    const { writer } = this;
    this.begin(Message.SessionModificationResponse, place);
    writer.cause(Cause.Accepted);
    if (told.length > 0) this.created(place, told);
    const written = writeUsages(writer, Ie.UsageReportInModification, usage, place);
    writeFurther(writer, usage, written, 0);
    transaction.answer(writer);
    return written;
  }

  /**
   * @param queued  offers usage from before that the peer has not been told of, and returns how
   *   many reports of it are left.
   * @return the first entry of `usage` that found no room.
   */
  deleted(
    transaction: Transaction,
    place: RecordPlace,
    queued: (put: (event: Uint32Array) => boolean) => number,
    usage: Uint32Array,
  ): number {
    const { writer } = this;
    this.begin(Message.SessionDeletionResponse, place);
    writer.cause(Cause.Accepted);
    const type = Ie.UsageReportInDeletion;
    const left = queued((event) => writeUsage(writer, type, event, 0, place, ANSWER_MAX));
    const told = writeUsages(writer, type, usage, place);
    writeFurther(writer, usage, told, left);
    transaction.answer(writer);
    return told;
  }

  /** @param low, high  the CP's SEID, 0: not known. */
  refused(transaction: Transaction, refusal: RuleRefusal, low: number, high: number): void {
    const { writer } = this;
    const establishment = transaction.messageType === Message.SessionEstablishmentRequest;
    writer.begin(transaction.messageType + 1, true, low, high);
    if (establishment) writer.nodeId(this.identity.nodeId);
    writer.cause(refusal.cause);
    if (refusal.offendingIe !== 0) writer.offendingIe(refusal.offendingIe);
    // There are SMFs that look for it before they look at the cause.
    if (establishment) this.fSeid(0, 0);
    if (refusal.cause === Cause.RuleFailure && refusal.ruleType >= 0) {
      writer.failedRuleId(refusal.ruleType, refusal.ruleId);
    }
    transaction.answer(writer);
  }

  private begin(messageType: number, { words, start }: RecordPlace): void {
    const low = words[start + layout.HEADER_CP_SEID_LOW]!;
    this.writer.begin(messageType, true, low, words[start + layout.HEADER_CP_SEID_HIGH]!);
  }

  private fSeid(low: number, high: number): void {
    writeUpFSeid(this.writer, this.identity, low, high);
  }

  /** @param told  as of modified(); null: all PDRs. */
  private created(place: RecordPlace, told: Uint32Array | null): void {
    const { words, start } = this.advertised.shownAt(place);
    const pdrs = pdrCount(words, start);
    this.told.fill(0);
    for (let pdr = 0, at = pdrsAt(start); pdr < pdrs; pdr++, at += layout.PDR_WORDS) {
      const flags = words[at + layout.PDR_F_TEID]!;
      const chosen = (flags & CHOSEN) === CHOSEN;
      const auto = (words[at + layout.PDR_LISTS]! & AUTO) !== 0;
      if (!chosen && !auto) continue;
      const id = words[at]! & 0xffff;
      const endpoint = (flags & layout.F_TEID_ENDPOINT) !== 0;
      const named = TELL_ENDPOINT | ((flags >>> 8) & 0xff);
      const isTold = told === null || told.includes(id) || (endpoint && told.includes(named));
      if (!isTold) continue;
      if (endpoint) this.createdEndpoint(words, start, at, chosen, auto);
      else this.createdPdr(words, start, at, id, chosen, auto);
    }
  }

  private createdPdr(
    words: Uint32Array,
    start: number,
    at: number,
    id: number,
    chosen: boolean,
    auto: boolean,
  ): void {
    const { writer } = this;
    writer.open(Ie.CreatedPdr);
    writer.u16(Ie.PdrId, id);
    if (chosen) this.fTeid(words, at);
    if (auto) this.ueAddress(words, start, at);
    writer.close();
  }

  /** Once for all PDRs of the endpoint. */
  private createdEndpoint(
    words: Uint32Array,
    start: number,
    at: number,
    chosen: boolean,
    auto: boolean,
  ): void {
    const { writer, told } = this;
    const id = (words[at + layout.PDR_F_TEID]! >>> 8) & 0xff;
    if ((told[id >>> 5]! & (1 << (id & 31))) !== 0) return;
    told[id >>> 5]! |= 1 << (id & 31);
    writer.open(Ie.CreatedTrafficEndpoint);
    writer.u8(Ie.TrafficEndpointId, id);
    if (chosen) this.fTeid(words, at);
    if (auto) this.ueAddress(words, start, at);
    writer.close();
  }

  private fTeid(words: Uint32Array, at: number): void {
    const flags = words[at + layout.PDR_F_TEID]!;
    this.writer.fTeid(
      words[at + layout.PDR_TEID]!,
      (flags & layout.F_TEID_IPV4) !== 0,
      words[at + layout.PDR_LOCAL_IPV4]!,
      (flags & layout.F_TEID_IPV6) !== 0,
      words,
      at + layout.PDR_LOCAL_IPV6,
    );
  }

  private ueAddress(words: Uint32Array, start: number, at: number): void {
    const flags = words[at + layout.PDR_LISTS]! >>> 16;
    for (let word = 0; word < IPV6_PREFIX_WORDS; word++) {
      this.prefix[word] = words[start + layout.HEADER_UE_PREFIX_HIGH + word]!;
    }
    const ipv4 = (flags & layout.PDR_UE_IPV4_AUTO) !== 0;
    const ipv6 = (flags & layout.PDR_UE_IPV6_AUTO) !== 0;
    this.writer.ueIpAddress(ipv4, words[start + layout.HEADER_UE_IPV4]!, ipv6, this.prefix);
  }
}
