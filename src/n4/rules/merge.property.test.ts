import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeBody, type Elements, encodeElements, encodeMessage } from '../codec/describe.js';
import { MessageReader } from '../codec/message-reader.js';
import * as Message from '../codec/message-type.js';
import { ShadowMerger } from './merge.js';
import { RuleRefusal } from './rule-refusal.js';

// biome-ignore lint/suspicious/noExplicitAny: rules are plain data of many shapes
type Rule = any;

const FORWARDING = 'Forwarding Parameters';

/** A kind of rule: its names, and what else a rule of it may have, by name. */
interface Kind {
  readonly name: string;
  readonly id: string;
  /** What a rule has to have. */
  readonly needs: Readonly<Record<string, fc.Arbitrary<unknown>>>;
  readonly may: Readonly<Record<string, fc.Arbitrary<unknown>>>;
}

const byte = fc.integer({ min: 1, max: 63 });
const word = fc.integer({ min: 1, max: 0xffff_ffff });
const ids = fc.uniqueArray(byte, { minLength: 1, maxLength: 3 });
const gates = fc.record({
  uplink: fc.constantFrom('open', 'closed'),
  downlink: fc.constantFrom('open', 'closed'),
});
const header = fc.record({
  flags: fc.constant(['GTPU4']),
  teid: fc
    .integer({ min: 1, max: 0xffff })
    .map((teid) => `0x${teid.toString(16).padStart(8, '0')}`),
  ipv4: byte.map((octet) => `10.1.1.${octet}`),
});
const parameters = fc.record(
  {
    'Destination Interface': fc.constantFrom('Access', 'Core'),
    'Network Instance': fc.constantFrom('access', 'internet', 'ims'),
    'Outer Header Creation': header,
  },
  { requiredKeys: ['Destination Interface'] },
);

const KINDS: readonly Kind[] = [
  {
    name: 'PDR',
    id: 'PDR ID',
    needs: {
      Precedence: word,
      PDI: fc.record({ 'Source Interface': fc.constantFrom('Access', 'Core'), QFI: ids }),
      'FAR ID': byte,
    },
    may: { 'QER ID': ids, 'URR ID': ids },
  },
  {
    name: 'FAR',
    id: 'FAR ID',
    needs: { 'Apply Action': fc.constantFrom(['FORW'], ['DROP'], ['BUFF', 'NOCP']) },
    may: { 'BAR ID': byte, 'Forwarding Parameters': parameters },
  },
  {
    name: 'QER',
    id: 'QER ID',
    needs: { 'Gate Status': gates },
    may: { 'QER Correlation ID': word },
  },
  {
    name: 'URR',
    id: 'URR ID',
    needs: {
      'Measurement Method': fc.constantFrom(['VOLUM'], ['DURAT', 'VOLUM']),
      'Reporting Triggers': fc.constantFrom(['VOLTH'], ['PERIO']),
    },
    may: { 'Measurement Period': word, 'Linked URR ID': ids, 'Time Quota': word },
  },
];

/** Rules by kind, in their order. */
type State = Record<string, Rule[]>;

const some = (may: Kind['may']) => fc.record({ ...may }, { requiredKeys: [] });
const ruleOf = (kind: Kind, id: number) =>
  fc.tuple(fc.record({ ...kind.needs }), some(kind.may)).map(([needs, may]) => ({
    [kind.id]: id,
    ...(needs as object),
    ...(may as object),
  }));
const rulesOf = (kind: Kind, from: number, to: number) =>
  fc
    .uniqueArray(fc.integer({ min: from, max: to }), { maxLength: 5 })
    .chain((list) => fc.tuple(...list.map((id) => ruleOf(kind, id))));

const stateOf = (from: number, to: number): fc.Arbitrary<State> =>
  fc
    .tuple(...KINDS.map((kind) => rulesOf(kind, from, to)))
    .map((rules) => Object.fromEntries(KINDS.map(({ name }, i) => [name, rules[i]!])));

/** What happens to a rule of the session: it goes, it changes, or nothing. */
interface Fate {
  readonly removed: boolean;
  readonly needs: boolean;
  readonly may: Rule;
  readonly other: Rule;
  /** Loses what it has of these, of `may`. */
  readonly nulls: readonly string[];
}
const fateOf = (kind: Kind): fc.Arbitrary<Fate> =>
  fc.record({
    removed: fc.boolean(),
    needs: fc.boolean(),
    may: some(kind.may),
    other: fc.record({ ...kind.needs }),
    nulls: fc.subarray(Object.keys(kind.may).filter((name) => name !== FORWARDING)),
  });
const fates = fc.tuple(
  ...KINDS.map((kind) => fc.array(fateOf(kind), { minLength: 5, maxLength: 5 })),
);

const UPDATE = `Update ${FORWARDING}`;
/** What an IE without a value looks like, and what a rule lets go with one that is removed. */
const NULLS: Record<string, string> = {
  'QER ID': '006d0000',
  'URR ID': '00510000',
  'BAR ID': '00580000',
  'QER Correlation ID': '001c0000',
  'Measurement Period': '00400000',
  'Linked URR ID': '00520000',
  'Time Quota': '004a0000',
};
const NAMED: Record<string, string> = {
  'QER ID': 'QER ID',
  'URR ID': 'URR ID',
  'Linked URR ID': 'URR ID',
};

/** Request and expected state, worked out on plain data. */
function applied(before: State, all: readonly (readonly Fate[])[], added: State) {
  const request: Record<string, Rule[]> = {};
  const after: State = {};
  const gone = (id: string): number[] => {
    const i = KINDS.findIndex((kind) => kind.id === id);
    const rules = before[KINDS[i]!.name]!.filter((_, position) => all[i]![position]!.removed);
    return rules.map((rule) => rule[id]);
  };
  KINDS.forEach((kind, i) => {
    const kept: Rule[] = [];
    const removed: Rule[] = [];
    const updated: Rule[] = [];
    before[kind.name]!.forEach((rule, position) => {
      const fate = all[i]![position]!;
      if (fate.removed) {
        removed.push({ [kind.id]: rule[kind.id] });
        return;
      }
      const change = { ...(fate.needs ? fate.other : {}), ...fate.may };
      const nulls = fate.nulls.filter((name) => change[name] === undefined);
      kept.push(changed(letGo(kind, rule, nulls, gone), change));
      const { [FORWARDING]: forwarding, ...others } = change;
      if (Object.keys(change).length + nulls.length === 0) return;
      const inner = forwarding === undefined ? {} : { [UPDATE]: forwarding };
      const malformed = nulls.map((name) => NULLS[name]!).join('');
      const ended = malformed === '' ? {} : { malformed };
      updated.push({ [kind.id]: rule[kind.id], ...others, ...inner, ...ended });
    });
    if (removed.length > 0) request[`Remove ${kind.name}`] = removed;
    if (updated.length > 0) request[`Update ${kind.name}`] = updated;
    if (added[kind.name]!.length > 0) request[`Create ${kind.name}`] = added[kind.name]!;
    after[kind.name] = [...kept, ...added[kind.name]!];
  });
  return { request, after };
}

/** The rule without what its update takes away and without names of rules that are removed. */
function letGo(kind: Kind, rule: Rule, nulls: readonly string[], gone: (id: string) => number[]) {
  const next = { ...rule };
  for (const name of nulls) delete next[name];
  for (const [name, id] of Object.entries(NAMED)) {
    if (name === kind.id || next[name] === undefined) continue;
    next[name] = next[name].filter((named: number) => !gone(id).includes(named));
    if (next[name].length === 0) delete next[name];
  }
  return next;
}

function changed(rule: Rule, change: Rule): Rule {
  const next = { ...rule, ...change };
  if (change[FORWARDING] !== undefined) {
    next[FORWARDING] = { ...rule[FORWARDING], ...change[FORWARDING] };
  }
  return next;
}

function bodyOf(state: State): Elements {
  const filled = Object.entries(state).filter(([, rules]) => rules.length > 0);
  return Object.fromEntries(filled.map(([name, rules]) => [`Create ${name}`, rules]));
}

const shadow = new MessageReader();
const request = new MessageReader();
const refusal = new RuleRefusal();
const merger = new ShadowMerger(refusal);

function merge(state: State, elements: Elements): boolean {
  const body = encodeElements(bodyOf(state));
  shadow.readBody(Message.SessionEstablishmentRequest, body, 0, body.length);
  const bytes = encodeMessage({ message: 'Session Modification Request', seid: '0x1', elements });
  if (!request.read(bytes, 0, bytes.length)) throw new Error('the request is malformed');
  refusal.clear();
  return merger.merge(shadow, request);
}

/** The order of rules is that of the shadow, then of the request; that of kinds says nothing. */
function merged(): Elements {
  return describeBody(Message.SessionEstablishmentRequest, merger.bytes, 0, merger.length);
}

describe('a modification merged into a shadow', () => {
  it('is the shadow of an establishment of what comes of it', () => {
    const inputs = fc.tuple(stateOf(1, 50), fates, stateOf(51, 90));
    fc.assert(
      fc.property(inputs, ([before, all, added]) => {
        const { request: elements, after } = applied(before, all, added);
        expect(merge(before, elements)).toBe(true);
        expect(merged()).toEqual(bodyOf(after));
      }),
      { numRuns: 300 },
    );
  });

  it('is refused when it names what is not there, or makes what is', () => {
    const inputs = fc.tuple(stateOf(1, 50), fc.nat(KINDS.length - 1), fc.nat(2), byte);
    fc.assert(
      fc.property(inputs, ([before, which, verb, id]) => {
        const kind = KINDS[which]!;
        const there = before[kind.name]!.find((rule) => rule[kind.id] === id);
        const body = bodyOf(before)[`Create ${kind.name}`] as Rule[] | undefined;
        const rule = verb === 0 ? body?.[0] : { [kind.id]: id };
        if (rule === undefined || (verb !== 0 && there !== undefined)) return;
        const name = `${['Create', 'Update', 'Remove'][verb]!} ${kind.name}`;
        expect(merge(before, { [name]: [rule] })).toBe(false);
        expect([refusal.cause, refusal.ruleType]).toEqual([73, which]);
        expect(refusal.ruleId).toBe(rule[kind.id]);
      }),
      { numRuns: 200 },
    );
  });

  it('of two updates of one rule has what the later one says', () => {
    const far = (id: number, action: string[], more: Rule = {}) => ({
      'FAR ID': id,
      'Apply Action': action,
      ...more,
    });
    const before: State = { PDR: [], FAR: [far(1, ['DROP'])], QER: [], URR: [] };
    const core = { 'Destination Interface': 'Core', 'Network Instance': 'internet' };
    const update = [
      { ...far(1, ['FORW']), [UPDATE]: core },
      { 'FAR ID': 1, [UPDATE]: { 'Network Instance': 'ims' } },
    ];
    expect(merge(before, { 'Update FAR': update })).toBe(true);
    const after = far(1, ['FORW'], { [FORWARDING]: { ...core, 'Network Instance': 'ims' } });
    expect(merged()).toEqual({ 'Create FAR': [after] });
  });
});
