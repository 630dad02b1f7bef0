/**
 * A protected N9 between two UPFs whose devices are their own: ESP by itself (IP protocol 50), which
 * no socket of the kernel carries.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Protection, Session } from '../../src/cli/api/messages.js';
import { addresses, Lab } from './lab.js';
import { anchorSession, intermediateSession, N3 } from './protected-n9.js';
import { answersOf, pingFor, Upf } from './upf.js';

const UE = `ue-${process.pid}`;

let lab: Lab;
let intermediate: Upf;
let anchor: Upf;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.run('dn', ['ethtool', '-K', 'n6', 'tx', 'off']);
  const n9 = { driver: 'afxdp', role: 'access', device: 'n3', esp: true };
  anchor = new Upf(lab, {
    name: 'anchor',
    ports: [
      { ...n9, name: 'n9', addresses: [addresses.upfN3] },
      {
        ...{ name: 'n6', driver: 'afxdp', role: 'core', device: 'n6' },
        ...{ networkInstances: ['internet'], uePools: [addresses.uePool] },
      },
    ],
  });
  intermediate = new Upf(lab, {
    name: 'intermediate',
    place: 'ran',
    ports: [
      { name: 'n3', driver: 'socket', role: 'access', addresses: [N3], networkInstances: ['n3'] },
      { ...n9, name: 'n9', addresses: [addresses.gnb], networkInstances: ['n9'] },
    ],
  });
  await anchor.start();
  await intermediate.start();
});
afterAll(async () => {
  await intermediate?.endGnbs();
  intermediate?.client.close();
  anchor?.client.close();
  await lab?.close();
});

it('carries a UE under ESP by itself', async () => {
  const pair = ['protection', 'pair', '--id', '1', '-o', join(lab.folder, 'n9')];
  await anchor.sluice([...pair, '--addresses', `${addresses.gnb},${addresses.upfN3}`]);
  await intermediate.sluice(['protection', 'create', '-f', join(lab.folder, 'n9-1.yaml')]);
  await anchor.sluice(['protection', 'create', '-f', join(lab.folder, 'n9-2.yaml')]);
  for (const [upf, session] of [
    [intermediate, intermediateSession(UE)],
    [anchor, anchorSession(UE)],
  ] as const) {
    await upf.client.call<Session>('SessionService', 'CreateSession', { session });
  }
  await intermediate.gnb(UE);
  const ping = await lab.run(`ue:${UE}`, pingFor(20, addresses.server), false);
  expect(answersOf(ping)).toBe(20);
  for (const upf of [intermediate, anchor]) {
    const sealed = await upf.client.call<Protection>('ProtectionService', 'GetProtection', {
      id: 1,
    });
    expect(Number(sealed.outbound?.[0]?.packets)).toBeGreaterThanOrEqual(20);
    expect(Number(sealed.inbound?.[0]?.packets)).toBeGreaterThanOrEqual(20);
    const { dropped } = await upf.counts();
    for (const reason of ['esp_not_genuine', 'esp_replayed', 'esp_malformed', 'unprotected']) {
      expect([reason, dropped[reason] ?? 0]).toEqual([reason, 0]);
    }
  }
});
