/**
 * The table as numbers, for the reader: one word for each pair of a place (a message or a
 * group) and a type of element. Built once, when the module is loaded. Pure; any thread.
 */
import type { Element, Member } from './table/element.js';
import { minimumLength } from './table/layout.js';
import { elements, messages } from './table/table.js';

/** Types from here on are unknown; the ones of the document end at 320. */
export const TYPES = 384;

/** Which mandatory member of its place it is, from 1; 0: none of them. */
export const SLOT_MANDATORY = 0x1f;
/** A request that has it is refused. */
export const SLOT_REFUSED = 0x20;
/** Its place has it in its list. */
export const SLOT_LISTED = 0x40;
/** The place that its own children are in; 0: it has none, or nobody looks at them. */
export const SLOT_PLACE_SHIFT = 8;
/** Octets that it has at least. */
export const SLOT_LENGTH_SHIFT = 16;

const groups = elements.flatMap(({ type, members, handling }) =>
  members !== undefined && handling === 'supported' ? [{ type, members }] : [],
);
/** Place 0 is nowhere; messages come first, then groups. */
const places: readonly { readonly members: readonly Member[] }[] = [
  { members: [] },
  ...messages,
  ...groups,
];
const placeOfGroup = new Map(
  groups.map((group, index) => [group.type, 1 + messages.length + index] as const),
);

/** By message type; 0: there is no such message. */
export const placeOfMessage = new Uint8Array(256);
messages.forEach((message, index) => {
  placeOfMessage[message.type] = 1 + index;
});

/** Word `place * TYPES + type`. */
export const slots = new Uint32Array(places.length * TYPES);
/** By place: a bit for each mandatory member, the first is bit 0. */
export const mandatoryBits = new Uint32Array(places.length);
/** By place: types of the mandatory members, 32 each. */
export const mandatoryTypes = new Uint16Array(places.length * 32);

places.forEach(({ members }, place) => {
  for (const element of elements) slots[place * TYPES + element.type] = slotOf(element);
  members.forEach((member) => {
    slots[place * TYPES + member.type]! |= SLOT_LISTED | mandatoryOf(place, member);
  });
});

/** Groups have a place only where they are listed, so nesting ends where the table ends. */
function slotOf(element: Element): number {
  const refused = element.handling === 'refused' ? SLOT_REFUSED : 0;
  const length = Math.min(minimumLength(element.layout), 255);
  return refused | (length << SLOT_LENGTH_SHIFT);
}

function mandatoryOf(place: number, { type, presence }: Member): number {
  const child = (placeOfGroup.get(type) ?? 0) << SLOT_PLACE_SHIFT;
  if (presence !== 'M' && presence !== 'A') return child;
  let ordinal = 0;
  while (((mandatoryBits[place]! >>> ordinal) & 1) !== 0) ordinal++;
  mandatoryBits[place]! |= 1 << ordinal;
  mandatoryTypes[place * 32 + ordinal] = type;
  return child | (ordinal + 1);
}
