/**
 * The one table of PFCP: which elements there are, what they look like, where they belong and
 * what Sluice does with them. Everything else follows from it: what the reader checks
 * (../grammar.ts), names (../describe.ts), docs/N4.md. Start at rule-groups.ts to see a PDR,
 * rule-elements.ts for values, messages.ts for messages. Pure data; any thread.
 */
import type { Element } from './element.js';
import { type MessageRow, messages } from './messages.js';
import { nodeElements, reportElements, sessionElements } from './node-elements.js';
import { otherElements } from './other-elements.js';
import { nodeGroups, otherGroups } from './other-groups.js';
import {
  barElements,
  farElements,
  pdrElements,
  qerElements,
  urrElements,
} from './rule-elements.js';
import { answersAndReports, rulesToCreate, rulesToUpdate } from './rule-groups.js';

/** All elements, by type. */
export const elements: readonly Element[] = [
  ...rulesToCreate,
  ...rulesToUpdate,
  ...answersAndReports,
  ...nodeGroups,
  ...otherGroups,
  ...pdrElements,
  ...farElements,
  ...qerElements,
  ...urrElements,
  ...barElements,
  ...nodeElements,
  ...sessionElements,
  ...reportElements,
  ...otherElements,
].sort((a, b) => a.type - b.type);

const byType = new Map(elements.map((element) => [element.type, element]));
const byName = new Map(elements.map((element) => [element.name, element]));
const messageByType = new Map(messages.map((row) => [row.type, row]));

export function elementOf(type: number): Element | undefined {
  return byType.get(type);
}
export function elementNamed(name: string): Element | undefined {
  return byName.get(name);
}
export function messageOf(type: number): MessageRow | undefined {
  return messageByType.get(type);
}
export { type MessageRow, messages };
