/** Reports that time brings, from the packets of a UE to those who watch. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Report } from '../../src/cli/api/messages.js';
import { addresses, Lab, sluiceCommand } from './lab.js';
import { pingFor, Upf } from './upf.js';

const UE = `urr-${process.pid}`;
const PINGS = 5;
/** IP, ICMP and the 56 octets of ping. */
const PING_BYTES = 84;

let lab: Lab;
let upf: Upf;

beforeAll(async () => {
  lab = await Lab.open();
  upf = new Upf(lab, { name: 'urr' });
  await upf.start();
});
afterAll(async () => {
  await upf?.endGnbs();
  upf?.client.close();
  await lab?.close();
});

it('periods, start and stop of traffic reach a watcher, and add up to what passed', async () => {
  await upf.create({ name: UE, ueIp: 'auto', period: '300ms', inactivity: '800ms' });
  const watch = lab.start('ran', [
    sluiceCommand,
    '--api',
    upf.api,
    'session',
    'watch',
    UE,
    '--json',
  ]);
  await upf.gnb(UE);
  await lab.run(`ue:${UE}`, pingFor(PINGS, addresses.server));
  // Traffic in some period, and after it the end of traffic.
  await watch.printed(/"uplink_bytes"[\s\S]*"inactivity"/);
  const { usage = [] } = await upf.remove(UE);
  await watch.end();
  const reports = watch.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Report);
  const periods = reports.flatMap((report) => (report.usage === undefined ? [] : [report.usage]));
  expect(periods.map((one) => one.sequence ?? 0)).toEqual(periods.map((_, i) => i));
  expect(new Set(periods.flatMap((one) => one.triggers))).toEqual(
    new Set(['USAGE_TRIGGER_PERIODIC']),
  );
  const up = [...periods, ...usage].map((one) => Number(one.uplink_bytes ?? 0));
  expect(up.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual(PINGS * PING_BYTES);
  expect(reports.find((report) => report.inactivity !== undefined)?.inactivity).toEqual({
    urr_id: 1,
  });
});
