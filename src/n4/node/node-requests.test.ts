import { describe, expect, it, vi } from 'vitest';
import { MemoryStore } from '../../store/memory.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import { associated, type Bed, type FakeSmf, UPF_STAMP } from '../endpoint.fixture.js';
import { PfdTable } from './pfd-table.js';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');

/** PFD contents of that flow description; of a domain name too. */
function contents(flow: string, domain = ''): Uint8Array {
  const length = (value: string) => Buffer.from([value.length >> 8, value.length & 255]);
  const parts = [Buffer.from([domain === '' ? 1 : 5, 0]), length(flow), text(flow)];
  if (domain !== '') parts.push(length(domain), text(domain));
  return Buffer.concat(parts);
}

function provision(smf: FakeSmf, applications: Record<string, Uint8Array[]>): void {
  const { writer } = smf;
  writer.begin(Message.PfdManagementRequest, false);
  for (const [id, values] of Object.entries(applications)) {
    writer.open(Ie.ApplicationIdsPfds);
    writer.copy(Ie.ApplicationId, text(id));
    for (const value of values) {
      writer.open(Ie.PfdContext);
      writer.copy(Ie.PfdContents, value);
      writer.close();
    }
    writer.close();
  }
  smf.send();
}

async function provisioned(bed: Bed, smf: FakeSmf, applications: Record<string, Uint8Array[]>) {
  provision(smf, applications);
  await bed.run(20);
  return smf.take(Message.PfdManagementResponse).map(({ cause }) => cause);
}

function stored(bed: Bed): PfdTable {
  const table = new PfdTable(new MemoryStore(bed.contents));
  table.load();
  return table;
}

function flowsOf(bed: Bed, id: string): string[] | undefined {
  const bytes = text(id);
  const found = stored(bed).of('10.0.0.2')?.find(bytes, 0, bytes.length);
  return found?.flows.map((flow) => Buffer.from(flow).toString('latin1'));
}

describe('PFD management', () => {
  it('keeps PFDs by application, replaces and removes them, and says which can be used', async () => {
    const { bed, smf } = await associated();
    const video = contents('permit out ip from 198.51.100.0/24 to any');
    const web = contents('permit out 6 from any 443 to any', 'example.org');
    expect(await provisioned(bed, smf, { video: [video, video], web: [web] })).toEqual([1]);
    expect(flowsOf(bed, 'video')).toHaveLength(2);
    expect(flowsOf(bed, 'web')).toEqual(['permit out 6 from any 443 to any']);
    const found = stored(bed).of('10.0.0.2')!;
    expect(found.find(text('web'), 0, 3)?.isUnmatchable).toBe(true);
    expect(found.find(text('video'), 0, 5)?.isUnmatchable).toBe(false);
    expect(bed.endpoint.peers()[0]?.applications).toBe(2);
    expect(await provisioned(bed, smf, { video: [] })).toEqual([1]);
    expect([flowsOf(bed, 'video'), flowsOf(bed, 'web')?.length]).toEqual([undefined, 1]);
    expect(await provisioned(bed, smf, {})).toEqual([1]);
    expect(flowsOf(bed, 'web')).toBeUndefined();
  });

  it('refuses all of a request of which a part is wrong', async () => {
    const { bed, smf } = await associated();
    const short = Buffer.from([1, 0, 0, 9, 0x70]);
    const good = contents('permit out ip from any to any');
    provision(smf, { good: [good], bad: [short] });
    await bed.run(20);
    expect(smf.take(Message.PfdManagementResponse)).toMatchObject([
      { cause: Cause.MandatoryIeIncorrect, hex: expect.stringMatching(/00280002003d$/) },
    ]);
    expect(flowsOf(bed, 'good')).toBeUndefined();
  });

  it('keeps them over a kill, and forgets them with the association', async () => {
    const { bed, smf } = await associated();
    const one = contents('permit out ip from any to any');
    await provisioned(bed, smf, { one: [one] });
    await bed.kill();
    bed.open();
    expect(bed.endpoint.peers()[0]?.applications).toBe(1);
    smf.release();
    await bed.run(20);
    expect(flowsOf(bed, 'one')).toBeUndefined();
  });
});

describe('an association update', () => {
  it('changes what the peer is known to understand', async () => {
    const { bed, smf } = await associated();
    smf.writer.begin(Message.AssociationUpdateRequest, false);
    smf.writer.nodeId(Uint8Array.of(0, 10, 0, 0, 2));
    smf.writer.flags(Ie.CpFunctionFeatures, 3, 1);
    smf.send();
    await bed.run(20);
    expect(smf.take(Message.AssociationUpdateResponse)).toMatchObject([{ cause: 1 }]);
    expect(bed.endpoint.peers()[0]?.cpFeatures).toBe(3);
  });

  it('is sent at the end to ask for the release, and waits for it', async () => {
    const { bed, smf } = await associated({ releaseSeconds: 30 });
    const drained = bed.endpoint.drain();
    await bed.run(40);
    expect(smf.take(Message.AssociationUpdateRequest)).toMatchObject([
      { hex: expect.stringMatching(/3c0005000a000001006f000101007000010f$/) },
    ]);
    smf.release();
    await bed.run(100);
    expect(smf.take(Message.AssociationReleaseResponse)).toMatchObject([{ cause: 1 }]);
    const before = bed.clock.nowMs;
    await bed.run(200);
    await drained;
    expect(bed.clock.nowMs - before).toBeLessThan(1000);
  });
});

describe('a set deletion', () => {
  const set = '00410007010a0909090002';
  it.each([
    ['of a set is served', set, /0013000101$/],
    ['of no set has nothing to go by', '', /001300014300280002 0041$/],
    ['of a group is not supported', '0123000101', /001300014c00280002 0123$/],
    ['of a set and a group neither', `${set}0123000101`, /001300014c00280002 0123$/],
    ["of a CP function's sessions neither", '01240005020a000002', /001300014c00280002 0124$/],
  ])('%s', async (_, octets, answer) => {
    const { bed, smf } = await associated();
    const elements = Buffer.from(octets, 'hex');
    smf.writer.begin(Message.SessionSetDeletionRequest, false);
    smf.writer.nodeId(Uint8Array.of(0, 10, 0, 0, 2));
    smf.writer.elements(elements, 0, elements.length);
    smf.send();
    await bed.run(20);
    const [{ hex } = { hex: '' }] = smf.take(Message.SessionSetDeletionResponse);
    expect(hex).toMatch(new RegExp(answer.source.replace(' ', '')));
  });
});

it('says in the log what it refuses', async () => {
  const { bed, smf } = await associated();
  const warn = vi.spyOn(bed.log, 'warn');
  smf.writer.begin(Message.SessionSetDeletionRequest, false);
  smf.writer.nodeId(Uint8Array.of(0, 10, 0, 0, 2));
  smf.send();
  await bed.run(20);
  const said = {
    peer: '10.0.0.2',
    message: 'Session Set Deletion Request',
    cause: '67 Conditional IE missing',
    element: 'FQ-CSID',
  };
  expect(warn.mock.calls.map(([fields]) => fields)).toEqual([said]);
});

it('refuses set modification, which is not supported', async () => {
  const { bed, smf } = await associated();
  smf.writer.begin(Message.SessionSetModificationRequest, false);
  smf.writer.nodeId(Uint8Array.of(0, 10, 0, 0, 2));
  smf.send();
  await bed.run(20);
  expect(smf.take(Message.SessionSetModificationResponse)).toMatchObject([{ cause: 76 }]);
});

describe('node reports', () => {
  it('tell every peer of a path that failed and is back; no answer is no harm', async () => {
    const { bed, smf } = await associated({ n1: 2 });
    bed.endpoint.pathChanged({ address: '192.0.2.7', isUp: false });
    await bed.run(3000, 50);
    const failures = smf.take(Message.NodeReportRequest);
    expect(failures).toHaveLength(2);
    expect(failures[0]!.hex).toMatch(/3c0005000a0000010065000101006600090067000502c0000207$/);
    expect(failures[1]!.hex).toBe(failures[0]!.hex);
    bed.endpoint.pathChanged({ address: '2001:db8::7', isUp: true });
    await bed.run(20);
    expect(smf.take(Message.NodeReportRequest)[0]!.hex).toMatch(
      /006500010200bb001500670011012001\w+0007$/,
    );
    expect(bed.endpoint.counters.unanswered).toBe(1);
    expect(bed.endpoint.peers()).toMatchObject([{ associated: true, reachable: true }]);
  });
});

describe('load information', () => {
  it('comes once with a session response, to peers that read it', async () => {
    const { bed, smf } = await associated({}, 1);
    const other = bed.smf('10.0.0.3:8805');
    other.setUp();
    await bed.run(20);
    smf.establish();
    smf.establish();
    other.establish();
    await bed.run(20);
    // Numbered from the second of the start.
    const sequence = UPF_STAMP.toString(16);
    const load = new RegExp(`0033000d00340004${sequence}00350001..$`);
    const [first, second] = smf.take(Message.SessionEstablishmentResponse);
    expect(first!.hex).toMatch(load);
    expect(second!.hex).not.toMatch(load);
    expect(other.take(Message.SessionEstablishmentResponse)[0]!.hex).not.toMatch(load);
  });
});
