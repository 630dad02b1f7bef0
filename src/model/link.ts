/**
 * Turns references by rule ID into the indices that a record holds: the last step of every
 * decoder, once all tables stand. A reference to nothing is refused. Pure; any thread.
 */
import type { Refusal } from '../base/errors.js';
import type { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';

const TABLE_FIELDS = ['pdrs', 'fars', 'qers', 'urrs', 'bars'];

/** Path of a field of a rule: `session.pdrs[2]` and what follows. */
export function rulePath(table: number, index: number, suffix: string): string {
  return `session.${TABLE_FIELDS[table]}[${index}]${suffix}`;
}

/** Refuses a request because of one field of one rule; always false. */
export function refuseRule(
  refusal: Refusal,
  table: number,
  index: number,
  suffix: string,
  message: string,
): false {
  return refusal.set('invalid_argument', rulePath(table, index, suffix), message, table, index);
}

/** Index of the entry with this ID, or -1. PDR IDs share their word with other fields. */
export function indexOfRule(
  words: Uint32Array,
  at: number,
  count: number,
  stride: number,
  id: number,
): number {
  for (let index = 0; index < count; index++) {
    if (words[at + index * stride] === id) return index;
  }
  return -1;
}

/** False: refused, and the record is of no use. */
export function linkRecord(record: RecordBuffer, refusal: Refusal): boolean {
  for (let index = 0; index < record.pdrs; index++) {
    if (!linkFar(record, index, refusal) || !linkLists(record, index, refusal)) return false;
  }
  for (let index = 0; index < record.urrs; index++) {
    if (!linkUrr(record, index, refusal)) return false;
  }
  for (let index = 0; index < record.fars; index++) {
    if (!linkBar(record, index, refusal)) return false;
  }
  linkUeInstance(record);
  return record.finish() || refuseSize(refusal);
}

export function refuseSize(refusal: Refusal): false {
  const message = `must not take more than ${layout.RECORD_BYTES_MAX} bytes as a record`;
  return refusal.set('resource_exhausted', 'session', message);
}

function linkFar(record: RecordBuffer, pdr: number, refusal: Refusal): boolean {
  const words = record.words;
  const id = record.references.farIds[pdr]!;
  const far = indexOfRule(words, record.farsAt, record.fars, layout.FAR_WORDS, id);
  if (far < 0) {
    return refuseRule(refusal, layout.TABLE_PDR, pdr, '.far_id', missing('a FAR', id));
  }
  const at = layout.HEADER_WORDS + pdr * layout.PDR_WORDS + layout.PDR_F_TEID;
  words[at] = words[at]! | (far << 16);
  return true;
}

function missing(what: string, id: number): string {
  return `must name ${what} of this session; there is none with ID ${id}`;
}

/** One byte per reference: QER indices, then URR indices. */
function linkLists(record: RecordBuffer, pdr: number, refusal: Refusal): boolean {
  const references = record.references;
  const qers = references.qerCount[pdr]!;
  const urrs = references.urrCount[pdr]!;
  if (qers > 255 || urrs > 255) {
    const suffix = qers > 255 ? '.qer_ids' : '.urr_ids';
    return refuseRule(refusal, layout.TABLE_PDR, pdr, suffix, 'must name at most 255 rules');
  }
  if (qers + urrs === 0) return true;
  const words = record.words;
  const list = record.allocate((qers + urrs + 3) >>> 2);
  if (list === 0) return true;
  let to = list * 4;
  const qerFirst = references.qerFirst[pdr]!;
  for (let position = 0; position < qers; position++) {
    const id = references.qerIds[qerFirst + position]!;
    const index = indexOfRule(words, record.qersAt, record.qers, layout.QER_WORDS, id);
    if (!isNew(record, list * 4, to, index)) {
      return refuseMember(
        refusal,
        layout.TABLE_PDR,
        pdr,
        `.qer_ids[${position}]`,
        'a QER',
        id,
        index,
      );
    }
    record.bytes[to++] = index;
  }
  const urrFirst = references.urrFirst[pdr]!;
  const urrList = to;
  for (let position = 0; position < urrs; position++) {
    const id = references.urrIds[urrFirst + position]!;
    const index = indexOfRule(words, record.urrsAt, record.urrs, layout.URR_WORDS, id);
    if (!isNew(record, urrList, to, index)) {
      return refuseMember(
        refusal,
        layout.TABLE_PDR,
        pdr,
        `.urr_ids[${position}]`,
        'a URR',
        id,
        index,
      );
    }
    record.bytes[to++] = index;
  }
  const at = layout.HEADER_WORDS + pdr * layout.PDR_WORDS;
  words[at + layout.PDR_F_TEID] = words[at + layout.PDR_F_TEID]! | (qers << 24);
  words[at + layout.PDR_FILTERS] = words[at + layout.PDR_FILTERS]! | (urrs << 24);
  words[at + layout.PDR_LISTS] = words[at + layout.PDR_LISTS]! | list;
  return true;
}

/** The index stands for a rule, and is not in bytes[from…to) yet. */
function isNew(record: RecordBuffer, from: number, to: number, index: number): boolean {
  if (index < 0) return false;
  for (let at = from; at < to; at++) {
    if (record.bytes[at] === index) return false;
  }
  return true;
}

function refuseMember(
  refusal: Refusal,
  table: number,
  rule: number,
  suffix: string,
  what: string,
  id: number,
  index: number,
): false {
  const message = index < 0 ? missing(what, id) : `must name each rule once; ${id} comes twice`;
  return refuseRule(refusal, table, rule, suffix, message);
}

function linkUrr(record: RecordBuffer, urr: number, refusal: Refusal): boolean {
  const { words, references } = record;
  const at = record.urrsAt + urr * layout.URR_WORDS;
  const quotaFar = references.quotaFarIds[urr]!;
  if (quotaFar !== 0) {
    const far = indexOfRule(words, record.farsAt, record.fars, layout.FAR_WORDS, quotaFar);
    if (far < 0) {
      const message = missing('a FAR', quotaFar);
      return refuseRule(refusal, layout.TABLE_URR, urr, '.quota_far_id', message);
    }
    words[at + layout.URR_QUOTA_FAR] = words[at + layout.URR_QUOTA_FAR]! | (far + 1);
  }
  const count = references.linkedCount[urr]!;
  const has = (words[at + layout.URR_FLAGS]! & layout.URR_MORE) !== 0;
  if (count === 0 && !has) return true;
  const listed = (count + 3) >>> 2;
  const list = record.allocate(listed + (has ? layout.URR_MORE_WORDS : 0));
  if (list === 0) return true;
  const more = urr * layout.URR_MORE_WORDS;
  for (let word = 0; has && word < layout.URR_MORE_WORDS; word++) {
    words[list + listed + word] = references.more[more + word]!;
  }
  const first = references.linkedFirst[urr]!;
  for (let position = 0; position < count; position++) {
    const id = references.urrIds[first + position]!;
    const index = indexOfRule(words, record.urrsAt, record.urrs, layout.URR_WORDS, id);
    const to = list * 4 + position;
    const suffix = `.linked_urr_ids[${position}]`;
    if (index === urr) {
      return refuseRule(refusal, layout.TABLE_URR, urr, suffix, 'must not name the URR itself');
    }
    if (!isNew(record, list * 4, to, index)) {
      return refuseMember(refusal, layout.TABLE_URR, urr, suffix, 'a URR', id, index);
    }
    record.bytes[to] = index;
  }
  words[at + layout.URR_LINKED] = list | (count << 16);
  return true;
}

function linkBar(record: RecordBuffer, far: number, refusal: Refusal): boolean {
  const id = record.references.barIds[far]!;
  if (id === 0) return true;
  const words = record.words;
  const bar = indexOfRule(words, record.barsAt, record.bars, layout.BAR_WORDS, id);
  if (bar < 0) {
    return refuseRule(refusal, layout.TABLE_FAR, far, '.buffer.bar_id', missing('a BAR', id));
  }
  const at = record.farsAt + far * layout.FAR_WORDS + layout.FAR_UDP_PORT;
  words[at] = words[at]! | ((bar + 1) << 16);
  return true;
}

/**
 * The network instance that the UE's addresses are of: that of the core side, which a PDR
 * from the core names itself, and one from the access side by its FAR.
 */
function linkUeInstance(record: RecordBuffer): void {
  const words = record.words;
  let instance = 0;
  for (let pdr = 0; pdr < record.pdrs; pdr++) {
    const at = layout.HEADER_WORDS + pdr * layout.PDR_WORDS;
    const ue = (words[at + layout.PDR_LISTS]! >>> 16) & (layout.PDR_UE_IPV4 | layout.PDR_UE_IPV6);
    if (ue === 0) continue;
    if (((words[at]! >>> 16) & 255) !== layout.INTERFACE_ACCESS) {
      // Packets of a tunnel towards the UE arrive in the access network, whatever is theirs.
      if ((words[at + layout.PDR_F_TEID]! & layout.F_TEID_PRESENT) !== 0) continue;
      instance = words[at + layout.PDR_INSTANCE]!;
      break;
    }
    const far = (words[at + layout.PDR_F_TEID]! >>> 16) & 255;
    const target = words[record.farsAt + far * layout.FAR_WORDS + layout.FAR_INSTANCE]!;
    if (instance === 0) instance = target;
  }
  words[layout.HEADER_UE_INSTANCE] = instance;
}
