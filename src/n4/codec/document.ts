/** The table of messages and elements as Markdown, for docs/N4.md. Pure; any thread. */
import { clauseOf } from './table/clauses.js';
import type { Element, Member } from './table/element.js';
import { elementOf, elements, type MessageRow, messages } from './table/table.js';

/** Both tables, to stand between the marks of docs/N4.md. */
export function tablesOfProtocol(): string {
  return `### Messages\n\n${messageTable()}\n\n### Information elements\n\n${elementTable()}\n`;
}

function messageTable(): string {
  const rows = messages.map((row) => [
    String(row.type),
    row.name,
    row.clause,
    row.handling,
    membersOf(row),
  ]);
  return table(['type', 'message', 'clause', '', 'elements'], rows);
}

/** Those that mean something here; what else may stand there is in the table of elements. */
function membersOf({ members }: MessageRow): string {
  const usable = members.filter(({ type }) => elementOf(type)!.handling === 'supported');
  return usable.map(memberText).join(', ');
}

function memberText({ type, presence, many }: Member): string {
  const { name } = elementOf(type)!;
  const required = presence === 'M' || presence === 'A';
  return `${required ? `**${name}**` : name}${many ? ' …' : ''}`;
}

function elementTable(): string {
  const places = placesByType();
  const rows = elements.map((element) => [
    String(element.type),
    element.name,
    clauseOf(element.type),
    handlingText(element),
    (places.get(element.type) ?? []).join(', '),
  ]);
  return table(['type', 'element', 'clause', '', 'in'], rows);
}

function handlingText({ handling, refusal }: Element): string {
  return handling === 'refused' ? `refused, cause ${refusal}` : handling;
}

/** Groups by name, messages by number, so that the lines stay short. */
function placesByType(): Map<number, string[]> {
  const places = new Map<number, string[]>();
  const note = (members: readonly Member[], place: string) => {
    for (const { type } of members) {
      const before = places.get(type);
      if (before === undefined) places.set(type, [place]);
      else before.push(place);
    }
  };
  for (const { type, members } of messages) note(members, String(type));
  for (const { name, members } of elements) note(members ?? [], name);
  return places;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
