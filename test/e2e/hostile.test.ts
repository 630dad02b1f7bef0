/**
 * Hostile datagrams on N3: each kind ends with its own reason, every packet is accounted for,
 * and the UPF serves on. The list is that of "N3 hostile" in the conformance notes.
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { difference } from '../../src/cli/gnb/load-command.js';
import { ueSessionOf } from '../../src/cli/gnb/ue-sessions.js';
import type { PacketCounts } from '../../src/tools/packet-counts.js';
import { addresses, Lab, type LabProcess } from './lab.js';
import { losses, Upf } from './upf.js';

const COPIES = 10;

let lab: Lab;
let upf: Upf;
let sender: LabProcess;

/** What the UPF does with each kind: the reason, or "n6" for those that are in order. */
const EXPECTED: Readonly<Record<string, string>> = {
  good: 'n6',
  'sequence-only': 'n6',
  'npdu-only': 'n6',
  'trailing-bytes': 'n6',
  'extension-unknown-optional': 'n6',
  'outer-fragments': 'n6', // the kernel puts them together before the socket
  'random-teid': 'unknown_teid',
  'zero-teid': 'unknown_teid',
  'spoofed-v4': 'spoofed_source',
  'spoofed-server': 'spoofed_source',
  'empty-gpdu': 'empty_payload',
  'version-0': 'gtpu_version',
  'version-2': 'gtpu_version',
  'gtp-prime': 'gtpu_version',
  'seven-bytes': 'gtpu_truncated',
  'length-beyond': 'gtpu_truncated',
  'length-65535': 'gtpu_truncated',
  'options-cut': 'gtpu_truncated',
  'extension-length-0': 'gtpu_extension',
  'extension-past-end': 'gtpu_extension',
  'extension-300': 'extension_limit',
  'extension-unknown-required': 'gtpu_unknown_extension',
  'inner-version-5': 'inner_malformed',
  'inner-ihl-4': 'inner_malformed',
  'inner-ihl-15': 'inner_malformed',
  'inner-length-lies': 'inner_malformed',
  'inner-length-small': 'inner_malformed',
  'inner-one-byte': 'inner_malformed',
  'inner-v6-cut': 'inner_malformed',
  'unknown-message': 'gtpu_message_type',
  'forged-error-indication': 'error_indication_forged',
  echo: 'gtpu_echo',
  'gtp-in-gtp': 'nested_gtpu',
  'to-upf-itself': 'own_address',
};
/** What the kernel drops before any socket sees it. */
const NEVER_ARRIVES = ['lone-fragment', 'bad-udp-checksum'];

beforeAll(async () => {
  lab = await Lab.open();
  upf = new Upf(lab);
  await upf.start();
  const session = ueSessionOf(await upf.create({ name: 'victim', gnbTeid: '0x900' }));
  const script = join(import.meta.dirname, 'hostile.py');
  const args = [addresses.upfN3, String(session.upfTeid), session.ipv4, String(COPIES)];
  sender = lab.start('ran', ['/usr/bin/python3', script, ...args]);
});
afterAll(async () => {
  upf?.client.close();
  await lab?.close();
});
afterEach(() => expect(upf.running).toBe(true));

/** Sends one kind; resolves to the UPF's account of it once it has seen `rx` packets. */
async function attack(name: string, rx: number): Promise<PacketCounts> {
  const before = await upf.counts();
  const received = await upf.receivedOnN3();
  sender.stdout = '';
  sender.child.stdin?.write(`${name}\n`);
  await sender.printed(new RegExp(`^sent ${name}$`, 'm'));
  const arrived = async () => (await upf.receivedOnN3()) - received;
  await expect.poll(arrived, { interval: 20, timeout: 5000 }).toBe(rx);
  const account = difference(before, await upf.counts());
  return { ...account, dropped: losses(account.dropped) };
}

describe('hostile datagrams', () => {
  it('are all known to this test', async () => {
    sender.child.stdin?.write('list\n');
    const names = (await sender.printed(/^good,.*$/m))[0].split(',');
    const known = [...Object.keys(EXPECTED), ...NEVER_ARRIVES];
    expect(names.filter((name) => !known.includes(name)).sort()).toEqual(['garbage']);
  });

  it.each(Object.entries(EXPECTED))('%s: %s', async (name, outcome) => {
    const account = await attack(name, COPIES);
    if (outcome === 'n6') {
      expect(account.tx.n6).toBe(COPIES);
      expect(account.dropped).toEqual({});
    } else {
      expect(account.dropped).toEqual({ [outcome]: COPIES });
      expect(account.tx.n6 ?? 0).toBe(0);
    }
  });

  it.each(NEVER_ARRIVES)('%s: stopped by the kernel', async (name) => {
    const account = await attack(name, 0);
    expect(account.dropped).toEqual({});
  });

  it('garbage of random length is counted to the last datagram', async () => {
    const account = await attack('garbage', COPIES);
    const dropped = Object.values(account.dropped).reduce((sum, count) => sum + count, 0);
    expect(dropped).toBe(COPIES);
  });

  it('leave a session that still works', async () => {
    expect((await attack('good', COPIES)).tx.n6).toBe(COPIES);
  });
});
