/** Any operations, in any order, with failures and restarts between: nothing twice, nothing left. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PrepareStatus } from '../datapath/datapath.js';
import { refText } from '../model/record.js';
import {
  HEADER_FLAGS,
  HEADER_UE_INSTANCE,
  HEADER_UE_IPV4,
  UE_IPV4,
} from '../model/record-layout.js';
import type { Message } from '../model/sample.fixture.js';
import {
  type Bench,
  footprint,
  OWNER,
  recordOf,
  seidOf,
  session,
  startEngine,
  teidsOf,
} from './engine.fixture.js';
import type { OperationBatch } from './engine.js';
import { SessionState } from './state/session-table.js';

const NAMES = 12;
const fTeid: fc.Arbitrary<Message> = fc.oneof(
  fc.nat(3).map((id) => ({ choose_id: id })),
  fc.integer({ min: 1, max: 5 }).map((teid) => ({ teid, ipv4: '192.0.2.1' })),
);
const ueAddress: fc.Arbitrary<Message> = fc.oneof(
  fc.constant({ ipv4: 'auto', ipv6_prefix: 'auto' }),
  fc.integer({ min: 2, max: 9 }).map((octet) => ({ ipv4: `10.60.0.${octet}` })),
);
const shape = fc.record({
  name: fc.nat(NAMES - 1).map((number) => `ue-${number}`),
  fTeids: fc.array(fTeid, { minLength: 1, maxLength: 4 }),
  ueAddress,
  instance: fc.constantFrom('internet', 'ims'),
});
const operation = fc.record({
  kind: fc.constantFrom('create', 'create', 'update', 'delete'),
  shape,
});
const step = fc.record({
  operations: fc.array(operation, { maxLength: 12 }),
  /** What goes wrong meanwhile. */
  fault: fc.constantFrom('none', 'none', 'none', 'prepare', 'store', 'restart'),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function run(bench: Bench, operations: Step['operations']): Promise<void> {
  await new Promise<void>((resolve) => {
    const open: OperationBatch = bench.engine.openBatch(OWNER, () => resolve());
    for (const one of operations) {
      if (one.kind === 'delete') open.deleteByName(one.shape.name);
      else if (one.kind === 'create') open.create(recordOf(session(one.shape)));
      else open.update(recordOf(session(one.shape)));
    }
    open.submit();
  });
}

function expectNothingTwice(bench: Bench): void {
  const { records } = bench.engine.list('', 1000, '');
  const teids = records.flatMap((record) => [...new Set(teidsOf(record))]);
  expect(new Set(teids).size).toBe(teids.length);
  expect(teids).not.toContain(0);
  // The two instances' pools overlap: an address is one's own within its instance.
  const addresses = records
    .filter((record) => (record[HEADER_FLAGS]! & UE_IPV4) !== 0)
    .map((record) => {
      const instance = refText(record, 0, record[HEADER_UE_INSTANCE]!);
      return `${instance}/${record[HEADER_UE_IPV4]}`;
    });
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(bench.datapath.sessions.size).toBe(records.length);
  expect(bench.store.contents.records.size).toBe(records.length);
  expect(bench.engine.slab.records).toBe(records.length);
}

it('has no TEID or address twice, and is empty when all are deleted', async () => {
  const steps = fc.array(step, { maxLength: 8 });
  const empty = footprint(await startEngine());
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      let bench = await startEngine();
      for (const { operations, fault } of all) {
        if (fault === 'restart') bench = await startEngine(bench.store.contents);
        let calls = 0;
        bench.datapath.refuse = () =>
          fault === 'prepare' && ++calls % 2 === 0 ? PrepareStatus.Resources : PrepareStatus.Ok;
        bench.store.failCommits = fault === 'store' ? 1 : 0;
        await run(bench, operations);
        bench.datapath.refuse = null;
        bench.store.failCommits = 0;
        await retryDetached(bench);
        expectNothingTwice(bench);
      }
      for (let i = 0; i < NAMES; i++) {
        await bench.engine.delete(OWNER, { name: `ue-${i}` }).catch(() => undefined);
      }
      expect(footprint(bench)).toEqual(empty);
    }),
    { numRuns: 60 },
  );
});

/** Sessions that the store failed to remove are deleted once more. */
async function retryDetached(bench: Bench): Promise<void> {
  for (const [index, state] of bench.engine.table.state.entries()) {
    if (state !== SessionState.Detached) continue;
    const record = bench.engine.slab.view(bench.engine.table.handle[index]!);
    await bench.engine.delete(OWNER, { seid: seidOf(record) });
  }
}
