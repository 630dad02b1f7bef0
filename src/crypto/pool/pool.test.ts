import { afterAll, expect, it } from 'vitest';
import { SluiceError } from '../../base/errors.js';
import { startSm3 } from '../sm3-state.js';
import { closePool, runTask } from './pool.js';

afterAll(closePool);

const task = () => ({
  kind: 'absorbSm3' as const,
  progress: startSm3(),
  blocks: new Uint8Array(64),
});

it('refuses more than may wait, and does all else', async () => {
  // Far beyond the queue and what threads take at once, however many cores there are.
  const asked = 3000;
  const done = await Promise.allSettled(Array.from({ length: asked }, () => runTask(task())));
  const refused = done.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  expect(refused.length).toBeGreaterThan(0);
  expect(asked - refused.length).toBeGreaterThanOrEqual(1024);
  expect(new Set(refused.map((error: SluiceError) => error.code))).toEqual(
    new Set(['resource_exhausted']),
  );
  expect((await runTask(task())).taken).toBe(64);
});

it('is made anew after it was closed', async () => {
  await closePool();
  expect((await runTask(task())).taken).toBe(64);
});

it('brings refusals back with their code and field', async () => {
  const bytes = new Uint8Array(10);
  const opening = runTask({ kind: 'openSm4', key: new Uint8Array(16), bytes, aad: undefined });
  await expect(opening).rejects.toBeInstanceOf(SluiceError);
  await expect(opening).rejects.toMatchObject({ code: 'invalid_argument', field: 'sealed' });
});
