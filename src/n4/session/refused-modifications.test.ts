import { describe, expect, it } from 'vitest';
import { footprint } from '../../session/engine.fixture.js';
import { elementOf } from '../codec/table/table.js';
import { ask, elementsOf, established, type Loose, modification } from './session.fixture.js';

type Case = [what: string, elements: Loose, cause: string, ie: string, rule?: Loose];
const FAILURE = 'Rule creation/modification Failure';
const CASES: Case[] = [
  ['an update of nothing', { 'Update FAR': [{ 'FAR ID': 8 }] }, FAILURE, 'FAR ID', { farId: 8 }],
  ['a removal of nothing', { 'Remove PDR': [{ 'PDR ID': 8 }] }, FAILURE, 'PDR ID', { pdrId: 8 }],
  [
    'a rule that is there',
    { 'Create QER': [{ 'QER ID': 1, 'Gate Status': { uplink: 'open', downlink: 'open' } }] },
    FAILURE,
    'QER ID',
    { qerId: 1 },
  ],
  [
    'a rule twice',
    { 'Create FAR': [0, 1].map(() => ({ 'FAR ID': 5, 'Apply Action': ['DROP'] })) },
    FAILURE,
    'FAR ID',
    { farId: 5 },
  ],
  ['a removal twice over', { 'Remove FAR': [{ 'FAR ID': 1 }] }, FAILURE, 'FAR ID', { pdrId: 1 }],
  ['a query of nothing', { 'Query URR': [{ 'URR ID': 6 }] }, FAILURE, 'URR ID', { urrId: 6 }],
  [
    'a good change before a bad one',
    {
      'Update PDR': [
        { 'PDR ID': 1, Precedence: 3 },
        { 'PDR ID': 2, 'FAR ID': 77 },
      ],
    },
    FAILURE,
    'FAR ID',
    { pdrId: 2 },
  ],
  [
    'an action that is none',
    { 'Update FAR': [{ 'FAR ID': 2, 'Apply Action': ['FORW', 'BUFF'] }] },
    'Mandatory IE incorrect',
    'Apply Action',
  ],
  [
    'an instance that no port carries',
    {
      'Update FAR': [
        { 'FAR ID': 1, 'Update Forwarding Parameters': { 'Network Instance': 'elsewhere' } },
      ],
    },
    FAILURE,
    'Network Instance',
    { farId: 1 },
  ],
];

describe('a refused modification changes nothing', () => {
  it.each(CASES)('%s', async (_what, elements, cause, ie, rule) => {
    const { bench, peer, seid } = await established();
    const before = [footprint(bench), bench.engine.get(peer.owner, { seid })];
    const reader = await ask(bench, peer, modification(seid, elements));
    expect(reader.seidLow).toBe(1);
    const answer = elementsOf(reader);
    expect([answer.Cause, elementOf(answer['Offending IE'])?.name]).toEqual([cause, ie]);
    if (rule !== undefined) expect(answer['Failed Rule ID']).toMatchObject(rule);
    expect([footprint(bench), bench.engine.get(peer.owner, { seid })]).toEqual(before);
  });
});
