import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Api, failure, GenericClient, startApi, take, violations } from '../api.fixture.js';

let api: Api;
let client: GenericClient;

beforeEach(async () => {
  api = await startApi();
  client = new GenericClient(api.address);
});
afterEach(async () => {
  client.close();
  await api.stop();
});

const call = (method: string, request: object) =>
  client.call(`ProtectionService/${method}`, request as Record<string, unknown>);

function protection(change: object = {}) {
  return {
    id: 7,
    suite: 'PROTECTION_SUITE_SM4_GCM_16',
    local_address: '10.0.0.1',
    peer_address: '10.0.0.2',
    outbound: [{ spi: 1001, key: Buffer.alloc(16, 1), salt: Buffer.alloc(4, 1) }],
    inbound: [{ spi: 2001, key: Buffer.alloc(16, 2), salt: Buffer.alloc(4, 2) }],
    ...change,
  };
}

describe('ProtectionService', () => {
  it('makes, shows, lists, changes and ends protections; keys never come back', async () => {
    const made = await call('CreateProtection', { protection: protection() });
    expect(made).toMatchObject({ id: 7, replay_window: 1024, revision: '1' });
    expect(made.outbound).toEqual([expect.objectContaining({ spi: 1001, packets: '0' })]);
    expect(JSON.stringify(made)).not.toContain('"key"');
    await call('CreateProtection', {
      protection: protection({
        id: 3,
        outbound: [{ spi: 1001, key: Buffer.alloc(16, 3), salt: Buffer.alloc(4) }],
        inbound: [],
      }),
    });
    const first = await call('ListProtections', { page_size: 1 });
    expect(first).toMatchObject({ total: '2', next_page_token: '3', protections: [{ id: 3 }] });
    const second = await call('ListProtections', { page_token: '3' });
    expect(second.protections).toMatchObject([{ id: 7 }]);
    const inbound = [
      ...protection().inbound,
      { spi: 2002, key: Buffer.alloc(16, 9), salt: Buffer.alloc(4) },
    ];
    const changed = await call('UpdateProtection', {
      protection: protection({ inbound }),
      expected_revision: '1',
    });
    expect(changed).toMatchObject({ revision: '2', inbound: [{ spi: 2001 }, { spi: 2002 }] });
    await call('DeleteProtection', { id: 7 });
    const gone = await failure(call('GetProtection', { id: 7 }));
    expect([gone.code, gone.details]).toEqual([5, 'id: there is no protection 7']);
  });

  it('names the field that is wrong', async () => {
    const short = protection({
      outbound: [{ spi: 1001, key: Buffer.alloc(3), salt: Buffer.alloc(4) }],
    });
    const error = await failure(call('CreateProtection', { protection: short }));
    expect(error.code).toBe(3);
    expect(violations(error)).toMatchObject([{ field: 'protection.outbound[0].key' }]);
    const none = await failure(call('CreateProtection', {}));
    expect(none.details).toBe('protection: must be given');
    const token = await failure(call('ListProtections', { page_token: 'x' }));
    expect(token.details).toBe('page_token: must be one that this call gave');
  });

  it('streams events until it is left', async () => {
    await call('CreateProtection', { protection: protection() });
    const stream = client.watch('ProtectionService/WatchProtections', {});
    await new Promise((resolve) => stream.once('metadata', resolve));
    await api.protections.tick();
    api.datapath.figures.set('2001 in', { replayed: 500n });
    await api.protections.tick();
    const [event] = await take(stream, 1);
    expect(event).toMatchObject({
      id: 7,
      spi: 2001,
      kind: 'PROTECTION_EVENT_KIND_REPLAYED',
      packets: '500',
    });
    stream.cancel();
  });

  it('refuses rules that refer to nothing', async () => {
    const session = {
      name: 'ue1',
      pdrs: [
        {
          id: 1,
          precedence: 1,
          pdi: {
            source_interface: 'INTERFACE_CORE',
            ue_address: { ipv4: '10.60.0.1' },
            protection_id: 20_000,
          },
          far_id: 1,
        },
      ],
      fars: [{ id: 1, drop: {} }],
    };
    const error = await failure(client.call('SessionService/CreateSession', { session }));
    expect(violations(error)).toMatchObject([{ field: 'session.pdrs[0].pdi.protection_id' }]);
  });
});
