/**
 * A protobuf Session, flat into a record: the first pass counts the rules and notes where
 * they lie, the second places them table by table, then references are linked. Reads what a
 * client may say; outputs (revision, owner, times, worker, chosen F-TEIDs) are passed over.
 * What can be said of the finished record is left to validate.ts. Pure; any thread, one
 * decoder each. Start at {@link SessionDecoder.decode}.
 */
import type { Refusal } from '../base/errors.js';
import { linkRecord, refuseSize } from './link.js';
import type { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';
import { DecodeContext, TEXT_KEPT_MAX } from './rules/decode-context.js';
import { decodeFar } from './rules/far-decode.js';
import { countFilters, decodePdr } from './rules/pdr-decode.js';
import { decodeBar, decodeQer } from './rules/qer-bar-decode.js';
import { decodeUrr } from './rules/urr/urr-decode.js';

export interface ModelLimits {
  /** PDRs, FARs, QERs, URRs and BARs, each; at most 255. */
  readonly rulesPerSession: number;
  /** SDF filters of one PDR; at most 255. */
  readonly filtersPerPdr: number;
}
export const MODEL_LIMITS: ModelLimits = {
  rulesPerSession: 64,
  filtersPerPdr: 16,
};

const TABLES = 5;
const SPANS = 256;
const TABLE_NAMES = ['pdrs', 'fars', 'qers', 'urrs', 'bars'];

const enum SessionTag {
  Name = 10,
  Seid = 16,
  PdnType = 40,
  Dnn = 50,
  Pdr = 58,
  Far = 66,
  Qer = 74,
  Urr = 82,
  Bar = 90,
}

export class SessionDecoder {
  readonly context: DecodeContext;
  /** The SEID that the message names, an input of UpdateSession only. */
  seidLow = 0;
  seidHigh = 0;
  private readonly counts = new Uint16Array(TABLES);
  /** Start and end of each rule, table after table. */
  private readonly spans = new Uint32Array(TABLES * SPANS * 2);
  /** Filters of each PDR. */
  private readonly filters = new Uint16Array(SPANS);
  private nameStart = 0;
  private nameLength = 0;
  private dnnStart = 0;
  private dnnLength = 0;
  private pdnType = 0;

  constructor(
    readonly record: RecordBuffer,
    readonly refusal: Refusal,
    readonly limits: ModelLimits = MODEL_LIMITS,
  ) {
    this.context = new DecodeContext(record, refusal);
  }

  /** Session bytes[start…end) into the record; false: see `refusal`, the record is of no use. */
  decode(bytes: Uint8Array, start: number, end: number): boolean {
    this.refusal.clear();
    return this.scan(bytes, start, end) && this.place() && linkRecord(this.record, this.refusal);
  }

  private malformed(): false {
    return this.refusal.set('invalid_argument', 'session', 'is not a valid protobuf message');
  }

  private scan(bytes: Uint8Array, start: number, end: number): boolean {
    const reader = this.context.reader;
    let filters = 0;
    this.seidLow = 0;
    this.seidHigh = 0;
    this.nameLength = 0;
    this.dnnLength = 0;
    this.pdnType = 0;
    this.counts.fill(0);
    reader.reset(bytes, start, end);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      switch (tag) {
        case SessionTag.Name:
          this.nameLength = reader.length();
          this.nameStart = reader.position;
          reader.position += this.nameLength;
          break;
        case SessionTag.Seid:
          reader.varint();
          this.seidLow = reader.low;
          this.seidHigh = reader.high;
          break;
        case SessionTag.PdnType:
          this.pdnType = this.context.byte();
          break;
        case SessionTag.Dnn:
          this.dnnLength = reader.length();
          this.dnnStart = reader.position;
          reader.position += this.dnnLength;
          break;
        case SessionTag.Pdr:
        case SessionTag.Far:
        case SessionTag.Qer:
        case SessionTag.Urr:
        case SessionTag.Bar:
          filters += this.noteRule((tag - SessionTag.Pdr) >>> 3);
          break;
        default:
          reader.skip(tag);
      }
    }
    if (this.refusal.refused) return false;
    if (reader.failed) return this.malformed();
    const counts = this.counts;
    this.record.begin(counts[0]!, counts[1]!, counts[2]!, counts[3]!, counts[4]!, filters);
    return !this.record.overflowed || refuseSize(this.refusal);
  }

  /** Notes where a rule lies; returns how many filters it has. */
  private noteRule(table: number): number {
    const reader = this.context.reader;
    const length = reader.length();
    const index = this.counts[table]!;
    const most = this.limits.rulesPerSession;
    if (index >= most) {
      const field = `session.${TABLE_NAMES[table]}`;
      this.refusal.set('resource_exhausted', field, `must be at most ${most}`, table, index);
      reader.fail();
      return 0;
    }
    const start = reader.position;
    const span = (table * SPANS + index) * 2;
    this.spans[span] = start;
    this.spans[span + 1] = start + length;
    this.counts[table] = index + 1;
    const filters =
      table === layout.TABLE_PDR ? this.countFilters(index, start, start + length) : 0;
    reader.position += length;
    return filters;
  }

  private countFilters(pdr: number, start: number, end: number): number {
    const filters = countFilters(this.context, start, end);
    const most = this.limits.filtersPerPdr;
    if (filters > most) {
      const field = `session.pdrs[${pdr}].pdi.sdf_filters`;
      const message = `must be at most ${most}`;
      this.refusal.set('resource_exhausted', field, message, layout.TABLE_PDR, pdr);
      this.context.reader.fail();
      return 0;
    }
    this.filters[pdr] = filters;
    return filters;
  }

  private place(): boolean {
    const { context, record, spans, counts } = this;
    const { reader } = context;
    const words = record.words;
    words[layout.HEADER_COUNTS1] = words[layout.HEADER_COUNTS1]! | this.pdnType;
    words[layout.HEADER_NAME] = record.append(reader.bytes, this.nameStart, cut(this.nameLength));
    words[layout.HEADER_DNN] = record.append(reader.bytes, this.dnnStart, cut(this.dnnLength));
    context.filters = 0;
    for (let table = 0; table < TABLES; table++) {
      const count = counts[table]!;
      for (let index = 0; index < count; index++) {
        const span = (table * SPANS + index) * 2;
        this.placeRule(table, index, spans[span]!, spans[span + 1]!);
        if (this.refusal.refused) return false;
        if (reader.failed) return this.malformed();
      }
    }
    return true;
  }

  private placeRule(table: number, index: number, start: number, end: number): void {
    if (table === layout.TABLE_PDR)
      decodePdr(this.context, index, start, end, this.filters[index]!);
    else if (table === layout.TABLE_FAR) decodeFar(this.context, index, start, end);
    else if (table === layout.TABLE_QER) decodeQer(this.context, index, start, end);
    else if (table === layout.TABLE_URR) decodeUrr(this.context, index, start, end);
    else decodeBar(this.context, index, start, end);
  }
}

function cut(length: number): number {
  return Math.min(length, TEXT_KEPT_MAX);
}
