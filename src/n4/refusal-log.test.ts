import { expect, it, vi } from 'vitest';
import { silentLog } from '../base/log.js';
import * as Cause from './codec/cause.js';
import * as Ie from './codec/ie.js';
import * as Message from './codec/message-type.js';
import { RefusalLog } from './refusal-log.js';

function open() {
  const log = silentLog();
  const lines: unknown[] = [];
  vi.spyOn(log, 'warn').mockImplementation((fields: unknown) => void lines.push(fields));
  const clock = { ms: 0 };
  return { clock, lines, refusals: new RefusalLog(log, () => clock.ms) };
}
const type = Message.SessionEstablishmentRequest;

it('says by name what was refused and why', () => {
  const { lines, refusals } = open();
  refusals.note('smf', type, Cause.RuleFailure, Ie.NetworkInstance, 'no port carries "x"');
  refusals.note('smf', 99, 200, 0);
  expect(lines).toEqual([
    {
      peer: 'smf',
      message: 'Session Establishment Request',
      cause: '73 Rule creation/modification Failure',
      element: 'Network Instance',
      reason: 'no port carries "x"',
    },
    { peer: 'smf', message: 99, cause: '200' },
  ]);
});

it('counts what is the same, and says so a minute later', () => {
  const { clock, lines, refusals } = open();
  for (let i = 0; i < 5; i++) refusals.note('smf', type, Cause.MandatoryIeMissing, Ie.PdrId);
  expect(lines).toHaveLength(1);
  clock.ms = 60_000;
  refusals.note('smf', type, Cause.MandatoryIeMissing, Ie.PdrId);
  expect(lines[1]).toMatchObject({ more: 4 });
});

it('cuts off a flood of different ones', () => {
  const { clock, lines, refusals } = open();
  for (let i = 0; i < 1000; i++)
    refusals.note(`10.0.0.${i}`, type, Cause.NoEstablishedAssociation, 0);
  expect(lines).toHaveLength(20);
  clock.ms = 10_000;
  refusals.note('10.9.9.9', type, Cause.NoEstablishedAssociation, 0);
  expect(lines[20]).toMatchObject({ peer: '10.9.9.9', cut: 980 });
});
