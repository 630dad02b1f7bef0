import { describe, expect, it } from 'vitest';
import * as Cause from './codec/cause.js';
import * as Ie from './codec/ie.js';
import * as Message from './codec/message-type.js';
import { associated, Bed, ntp, UPF_STAMP } from './endpoint.fixture.js';

const OWNER = 'n4:10.0.0.2';
/** Of a session that there is none of: some SMFs look for it before they look at the cause. */
const UP_F_SEID = '0039000d0200000000000000000a000001';
/** A Create PDR and a Create FAR. */
const RULES =
  '0001001f003800020001001d0004000000ff000200050014000100006c0004000000010003000d006c000400000001002c000101';

describe('what comes without an association', () => {
  it('gets heartbeats answered, other versions refused, sessions refused with 72', async () => {
    const bed = new Bed();
    const smf = bed.smf('10.0.0.2:8805');
    smf.heartbeat();
    smf.repeat(Uint8Array.of(0x40, 1, 0, 4, 0, 0, 9, 0));
    smf.establish();
    smf.delete(5);
    await bed.run(20);
    const stamp = ntp(UPF_STAMP).toString(16);
    expect(smf.received.map(({ hex }) => hex)).toEqual([
      `2002000c000001 00 00600004${stamp}`.replaceAll(' ', ''),
      '200b000400000900',
      // The SEID is the CP's, so that it finds its session.
      `2133002b00000000000000070000020 0003c0005000a0000010013000148${UP_F_SEID}`.replace(' ', ''),
      '213700110000000000000000 000003000013000148'.replaceAll(' ', ''),
    ]);
    expect(bed.endpoint.counters).toMatchObject({ wrongVersion: 1, notAssociated: 2 });
  });

  it('is counted and not answered when it is no PFCP', async () => {
    const bed = new Bed();
    const smf = bed.smf('10.0.0.2:8805');
    for (const hex of [
      '20',
      '2001000b0000010000600004e8000000',
      '20640004000001 00',
      '20020004000001 00',
    ])
      smf.repeat(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    await bed.run(20);
    expect(smf.received).toEqual([]);
    expect(bed.endpoint.counters).toMatchObject({ malformed: 2, unknownType: 1, stray: 1 });
  });

  it('is not even looked at when the allow-list does not have it', async () => {
    const bed = new Bed({ allow: ['10.0.1.0/24'] });
    const smf = bed.smf('10.0.0.2:8805');
    smf.heartbeat();
    await bed.run(20);
    expect(smf.received).toEqual([]);
    expect(bed.transport.statistics().notAllowed).toBe(1);
  });
});

describe('an association', () => {
  it('is answered with node, stamp and features, and is seen', async () => {
    const bed = new Bed();
    const smf = bed.smf('10.0.0.2:8805');
    smf.setUp();
    await bed.run(20);
    const stamp = ntp(UPF_STAMP).toString(16);
    expect(smf.received[0]!.hex).toBe(
      `200600220000010 0003c0005000a00000100130001010060 0004${stamp}002b0004322f1404`.replaceAll(
        ' ',
        '',
      ),
    );
    expect(bed.endpoint.peers()).toMatchObject([
      { nodeId: '10.0.0.2', owner: OWNER, associated: true, reachable: true, sessions: 0 },
    ]);
    expect(bed.sessions.reporting.has(OWNER)).toBe(true);
    expect(bed.transport.peers).toEqual(['10.0.0.2']);
  });

  it('with OAI gets two octets of features', async () => {
    const bed = new Bed({
      peers: [{ addresses: ['10.0.0.2'], profile: 'oai' } as never],
    });
    const smf = bed.smf('10.0.0.2:8805');
    smf.setUp();
    await bed.run(20);
    expect(smf.received[0]!.hex).toMatch(/002b0002322f$/);
  });

  it('set up again keeps sessions with the same stamp, not with a newer one', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    await bed.run(20);
    smf.setUp();
    await bed.run(20);
    expect(bed.sessions.of(OWNER).size).toBe(1);
    smf.stamp -= 5;
    smf.setUp();
    await bed.run(20);
    expect(bed.sessions.of(OWNER).size).toBe(1);
    smf.stamp += 10;
    smf.setUp();
    await bed.run(20);
    expect(bed.sessions.of(OWNER).size).toBe(0);
    expect(bed.endpoint.counters.peerRestarts).toBe(1);
  });

  it('does not keep sessions where that is turned off', async () => {
    const { bed, smf } = await associated({ retainSessions: false });
    smf.establish();
    await bed.run(20);
    smf.setUp();
    await bed.run(20);
    expect(bed.sessions.of(OWNER).size).toBe(0);
  });

  it('released gives up the sessions of that peer alone, and is gone', async () => {
    const { bed, smf } = await associated();
    const other = bed.smf('10.0.0.3:8805');
    other.setUp();
    await bed.run(20);
    smf.establish();
    other.establish();
    await bed.run(20);
    smf.release();
    await bed.run(20);
    expect(smf.take(Message.AssociationReleaseResponse)).toMatchObject([{ cause: 1 }]);
    expect(bed.sessions.of(OWNER).size).toBe(0);
    expect(bed.sessions.of('n4:10.0.0.3').size).toBe(1);
    expect(bed.endpoint.peers().map(({ nodeId }) => nodeId)).toEqual(['10.0.0.3']);
    smf.release();
    await bed.run(20);
    // Another sequence number, so no duplicate.
    expect(smf.take(Message.AssociationReleaseResponse)).toMatchObject([{ cause: 72 }]);
  });

  it('of a peer that is alive is not taken over from another address', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    await bed.run(20);
    const thief = bed.smf('10.0.0.9:8805', '10.0.0.2');
    thief.stamp = smf.stamp + 100;
    thief.setUp();
    await bed.run(100);
    expect(thief.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 64 }]);
    thief.establish();
    await bed.run(20);
    expect(thief.take(Message.SessionEstablishmentResponse)).toMatchObject([{ cause: 72 }]);
    expect(bed.sessions.of(OWNER).size).toBe(1);
    expect(bed.endpoint.counters.takeoversRefused).toBe(1);
  });

  it('moves to another address when the old one is dead', async () => {
    const bed = new Bed();
    const before = bed.smf('10.0.0.2:8805', 'smf.example.org');
    before.setUp();
    await bed.run(20);
    before.answersHeartbeats = false;
    const after = bed.smf('10.0.0.9:8805', 'smf.example.org');
    after.stamp = before.stamp + 100;
    after.setUp();
    await bed.run(8000, 50);
    after.setUp();
    await bed.run(20);
    const causes = after.take(Message.AssociationSetupResponse).map(({ cause }) => cause);
    expect(causes).toEqual([64, 1]);
    expect(bed.endpoint.peers()[0]).toMatchObject({ addresses: ['10.0.0.9'], reachable: true });
  });

  it('is had by a peer that lives, however many were made up', async () => {
    const bed = new Bed();
    for (let host = 0; host < 16; host++) {
      const forger = bed.smf(`10.0.66.${host}:8805`);
      forger.answersHeartbeats = false;
      for (let i = 0; i < 64; i++) {
        forger.nodeId = `made-up-${host}-${i}`;
        forger.setUp();
      }
    }
    await bed.run(100);
    const smf = bed.smf('10.0.0.2:8805');
    smf.setUp();
    await bed.run(20);
    expect(smf.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 75 }]);
    await bed.run(26_000, 100);
    smf.setUp();
    await bed.run(20);
    expect(smf.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 1 }]);
    expect(bed.endpoint.peers()).toHaveLength(1024);
  });

  it('is refused to no other address by one that makes peers up and answers for them', async () => {
    const bed = new Bed();
    const forger = bed.smf('10.0.0.66:8805');
    for (const i of Array(1500).keys()) {
      forger.nodeId = `made-up-${i}`;
      forger.setUp();
      if (i % 100 === 0) await bed.run(20);
      if (i === 0) forger.establish();
      if (i === 0) await bed.run(20);
    }
    const nodeIds = bed.endpoint.peers().map((peer) => peer.nodeId);
    expect(nodeIds).toHaveLength(64);
    expect(nodeIds).toEqual(expect.arrayContaining(['made-up-0', 'made-up-1301']));
    const smf = bed.smf('10.0.0.2:8805');
    smf.setUp();
    await bed.run(20);
    expect(smf.take(Message.AssociationSetupResponse)).toMatchObject([{ cause: 1 }]);
  });

  it('comes back with its sessions after the node was killed', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    await bed.run(20);
    await bed.kill();
    smf.take(Message.SessionEstablishmentResponse);
    bed.open();
    await bed.run(20);
    expect(bed.endpoint.peers()).toMatchObject([{ nodeId: '10.0.0.2', associated: true }]);
    smf.establish();
    await bed.run(20);
    expect(smf.take(Message.SessionEstablishmentResponse)).toMatchObject([{ cause: 1 }]);
    expect(bed.sessions.of(OWNER).size).toBe(2);
  });
});

describe('heartbeats of ours', () => {
  it('show a restart by a newer stamp, whatever requests say', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    await bed.run(20);
    const born = smf.stamp;
    // OAI: the stamp of its requests is the time of day.
    smf.stamp = born + 50;
    smf.heartbeat();
    smf.stamp = born;
    await bed.run(200);
    expect(bed.sessions.of(OWNER).size).toBe(1);
    smf.stamp = born + 100;
    await bed.run(21_000, 50);
    expect(bed.sessions.of(OWNER).size).toBe(0);
    expect(bed.endpoint.counters.peerRestarts).toBe(1);
  });

  it('show a dead path; the sessions stay', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    smf.answersHeartbeats = false;
    await bed.run(26_000, 50);
    expect(smf.take(Message.HeartbeatRequest)).toHaveLength(bed.config.n1);
    expect(bed.endpoint.peers()[0]).toMatchObject({ reachable: false, sessions: 1 });
    smf.answersHeartbeats = true;
    await bed.run(26_000, 50);
    expect(bed.endpoint.peers()[0]).toMatchObject({ reachable: true, sessions: 1 });
  });

  it('find a peer that sends from a port of its own', async () => {
    const bed = new Bed();
    const smf = bed.smf('10.0.0.2:4000');
    smf.setUp();
    await bed.run(22_000, 50);
    expect(bed.endpoint.peers()[0]).toMatchObject({ reachable: true });
    expect(smf.take(Message.HeartbeatRequest)).toHaveLength(1);
  });
});

describe('a request', () => {
  it('that comes twice is served once and answered with the same octets', async () => {
    const { bed, smf } = await associated();
    const bytes = smf.establish();
    await bed.run(20);
    smf.repeat(bytes);
    await bed.run(20);
    const answers = smf.take(Message.SessionEstablishmentResponse);
    expect(answers).toHaveLength(2);
    expect(answers[0]).toEqual(answers[1]);
    expect(bed.sessions.served).toBe(1);
    await bed.run(16_000, 100);
    smf.repeat(bytes);
    await bed.run(20);
    expect(bed.sessions.served).toBe(2);
  });

  it('of a peer that begins anew is no duplicate, whatever it looks like', async () => {
    const { bed, smf } = await associated();
    const bytes = smf.establish();
    await bed.run(20);
    const release = smf.release();
    await bed.run(20);
    smf.sequence = 0;
    smf.setUp();
    await bed.run(20);
    smf.repeat(bytes);
    await bed.run(20);
    expect(bed.sessions.served).toBe(2);
    smf.repeat(release);
    await bed.run(20);
    expect(bed.endpoint.peers()).toEqual([]);
    smf.repeat(release);
    await bed.run(20);
    const releases = smf.take(Message.AssociationReleaseResponse);
    expect(releases).toMatchObject([{ cause: 1 }, { cause: 1 }, { cause: 1 }]);
    smf.sequence = 0;
    smf.setUp();
    await bed.run(20);
    const setups = smf.take(Message.AssociationSetupResponse);
    expect(setups).toMatchObject([{ cause: 1 }, { cause: 1 }]);
    expect(bed.endpoint.peers()).toMatchObject([{ associated: true }]);
  });

  it('that comes twice while it is being served is answered once', async () => {
    const { bed, smf } = await associated();
    bed.sessions.serviceMs = 100;
    const bytes = smf.establish();
    await bed.run(20);
    smf.repeat(bytes);
    await bed.run(200);
    expect(smf.take(Message.SessionEstablishmentResponse)).toHaveLength(1);
    expect(bed.endpoint.counters.duplicatesSilent).toBe(1);
  });

  it('that a defect leaves unanswered does not take room for ever', async () => {
    const { bed, smf } = await associated({ heartbeatSeconds: 0 });
    bed.sessions.serviceMs = 400_000;
    smf.establish();
    await bed.run(20);
    expect(bed.endpoint.statistics().requestsServed).toBe(1);
    await bed.run(420_000, 1000);
    expect(bed.endpoint.statistics().requestsServed).toBe(0);
    expect(bed.endpoint.counters.abandoned).toBe(1);
    // The answer that came at last went nowhere.
    expect(smf.take(Message.SessionEstablishmentResponse)).toEqual([]);
  });

  it('with the same sequence number and other contents is another one', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    smf.writer.begin(Message.SessionDeletionRequest, true, 1, 0);
    smf.send(smf.sequence);
    smf.writer.begin(Message.SessionDeletionRequest, true, 99, 0);
    smf.send(smf.sequence);
    await bed.run(20);
    const causes = smf.take(Message.SessionDeletionResponse).map(({ cause }) => cause);
    expect(causes).toEqual([1, 65]);
  });

  it.each([
    ['without something mandatory', Cause.MandatoryIeMissing, '', '003c'],
    ['with a Node ID of no type', Cause.MandatoryIeIncorrect, `003c00010f${RULES}`, '003c'],
    ['with a length that points outside', Cause.InvalidLength, '003c00ff00', '003c'],
    ['with what is not supported', Cause.ServiceNotSupported, '00c20000', '00c2'],
  ])('%s is refused with that, and told a UP F-SEID', async (_, cause, octets, offending) => {
    const { bed, smf } = await associated();
    const elements = Buffer.from(octets, 'hex');
    smf.writer.begin(Message.SessionEstablishmentRequest, true);
    smf.writer.fSeid(7, 0, true, 0x0a000002, false, new Uint32Array(4));
    smf.writer.elements(elements, 0, elements.length);
    smf.send();
    await bed.run(20);
    expect(smf.take(Message.SessionEstablishmentResponse)).toMatchObject([
      { cause, hex: expect.stringMatching(`00280002${offending}${UP_F_SEID}$`) },
    ]);
  });

  it('that can not be read is refused in the name of its session', async () => {
    const { bed, smf } = await associated();
    smf.establish();
    await bed.run(20);
    smf.take(Message.SessionEstablishmentResponse);
    const { writer } = smf;
    for (const seid of [1, 99]) {
      writer.begin(Message.SessionModificationRequest, true, seid, 0);
      writer.open(Ie.RemovePdr);
      writer.close();
      smf.send();
    }
    await bed.run(20);
    const seids = smf.take(Message.SessionModificationResponse).map(({ hex }) => hex.slice(8, 24));
    expect(seids).toEqual(['0000000000000007', '0000000000000000']);
  });

  it('of a second peer behind the same address goes by its port', async () => {
    const { bed, smf } = await associated();
    const other = bed.smf('10.0.0.2:4000', '10.0.0.99');
    other.setUp();
    await bed.run(20);
    other.establish();
    smf.establish();
    await bed.run(20);
    expect(bed.sessions.of(OWNER).size).toBe(1);
    expect(bed.sessions.of('n4:10.0.0.99').size).toBe(1);
    other.delete(1);
    await bed.run(20);
    expect(
      bed.endpoint
        .peers()
        .map(({ sessions }) => sessions)
        .sort(),
    ).toEqual([0, 1]);
  });
});
