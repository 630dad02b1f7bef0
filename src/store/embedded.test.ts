import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedStore } from './embedded.js';
import { storeContract } from './store.contract.js';

for (const durability of ['async', 'sync'] as const) {
  storeContract(`embedded, ${durability}`, () => {
    const path = mkdtempSync(join(tmpdir(), 'sluice-store-'));
    return {
      open: () => EmbeddedStore.open({ path, durability }),
      cleanUp: () => rmSync(path, { recursive: true }),
    };
  });
}

describe('embedded store', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'sluice-store-'));
  });
  afterEach(() => rmSync(path, { recursive: true }));

  const changeState = (change: object) => {
    const file = join(path, 'state.json');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }));
  };

  it('lets one at a time at a folder, and the next one after it', async () => {
    const store = EmbeddedStore.open({ path, durability: 'async' });
    expect(() => EmbeddedStore.open({ path, durability: 'async' })).toThrow(
      expect.objectContaining({
        code: 'failed_precondition',
        field: 'store.path',
        message: expect.stringContaining(`process ${process.pid} is using it`),
      }),
    );
    await store.close();
    await EmbeddedStore.open({ path, durability: 'async' }).close();
    // lock.mdb is lmdb's own.
    const left = readdirSync(path).filter((name) => name.startsWith('lock'));
    expect(left).toEqual(['lock.mdb']);
  });

  it('says what is wrong with a folder that is none', () => {
    const file = join(path, 'file');
    writeFileSync(file, '');
    expect(() => EmbeddedStore.open({ path: file, durability: 'async' })).toThrow(
      expect.objectContaining({
        code: 'failed_precondition',
        field: 'store.path',
        message: expect.stringContaining('ENOTDIR'),
      }),
    );
  });

  it('recognises the lock of a process that is gone, or was of another start of its ID', async () => {
    for (const holder of [
      { pid: 2 ** 22 - 1, startTicks: '1', bootId: '' },
      { pid: process.pid, startTicks: '1', bootId: '' },
      { pid: process.pid, startTicks: '', bootId: 'an earlier boot' },
      'not even JSON',
    ]) {
      writeFileSync(join(path, 'lock'), JSON.stringify(holder));
      await EmbeddedStore.open({ path, durability: 'async' }).close();
    }
  });

  // A limit on the size of files is what a full disk is, without one.
  it.each(['async', 'sync'] as const)('fails commits that have no room, %s', async (durability) => {
    const fixture = fileURLToPath(new URL('./full-disk.fixture.ts', import.meta.url));
    const run = 'ulimit -f 4096; exec "$0" --import tsx "$@"';
    const child = spawn('sh', ['-c', run, process.execPath, fixture, path, durability], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    for await (const data of child.stdout) text += String(data);
    const told = text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const failed = expect.stringContaining('the store failed: ');
    expect(told).toEqual([
      { acknowledged: expect.any(Number), why: failed },
      { again: failed },
      { closed: true },
    ]);
    const store = EmbeddedStore.open({ path, durability });
    expect(store.recordCount()).toBe(told[0].acknowledged);
    await store.close();
  });

  it('recognises the lock of a process that ended and was not waited for', async () => {
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(String(line));
      // A shell would wait for it, what the shell becomes does not.
      const command = () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8').trim();
      await expect.poll(command).toBe('sleep');
      process.kill(pid);
      const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2];
      await expect.poll(state).toBe('Z');
      const startTicks = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21];
      writeFileSync(join(path, 'lock'), JSON.stringify({ pid, startTicks, bootId: '' }));
      await EmbeddedStore.open({ path, durability: 'async' }).close();
    } finally {
      parent.kill();
    }
  });

  it('loses nothing acknowledged when the process is killed', async () => {
    const writer = fileURLToPath(new URL('./kill-writer.fixture.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', writer, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const data of child.stdout) {
      text += String(data);
      if (text.split('\n').length > 200) break;
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    const acknowledged = Number(text.trimEnd().split('\n').slice(0, -1).at(-1));
    const store = EmbeddedStore.open({ path, durability: 'async' });
    const keys = new Set<number>();
    store.scan(-1, (key, bytes, length) => {
      expect(length).toBe(64);
      expect(bytes[0]).toBe(key & 0xff);
      keys.add(key);
      return true;
    });
    expect(acknowledged).toBeGreaterThan(100);
    for (let key = 0; key <= acknowledged; key++) expect(keys.has(key)).toBe(true);
    expect(store.lost).toBe('');
    await store.close();
  });

  it('starts empty and later when the machine stopped with async writes under way', async () => {
    const first = EmbeddedStore.open({ path, durability: 'async', now: () => 5_000_000 });
    first.put(1, new Uint8Array(8), 0, 8);
    await first.commit();
    await first.close();
    changeState({ flushed: false, bootId: 'an earlier boot' });
    // The clock is behind by more than the whole time since.
    const next = EmbeddedStore.open({ path, durability: 'async', now: () => 1_000_000 });
    expect(next.lost).toContain('durability is async');
    expect(next.recordCount()).toBe(0);
    expect(next.recoveryTimeStamp).toBe(first.recoveryTimeStamp + 1);
    await next.close();
  });

  it('keeps its sessions over a reboot after a clean stop', async () => {
    const first = EmbeddedStore.open({ path, durability: 'async' });
    first.put(1, new Uint8Array(8), 0, 8);
    await first.commit();
    await first.close();
    changeState({ bootId: 'an earlier boot' });
    const next = EmbeddedStore.open({ path, durability: 'async' });
    expect(next.recordCount()).toBe(1);
    expect(next.recoveryTimeStamp).toBe(first.recoveryTimeStamp);
    await next.close();
  });

  it('refuses a folder of another format, and one that can not be', async () => {
    await EmbeddedStore.open({ path, durability: 'async' }).close();
    changeState({ format: 99 });
    expect(() => EmbeddedStore.open({ path, durability: 'async' })).toThrow(/format 99 is not 1/);
    const file = join(path, 'file');
    writeFileSync(file, '');
    expect(() => EmbeddedStore.open({ path: join(file, 'data'), durability: 'sync' })).toThrow(
      expect.objectContaining({ code: 'failed_precondition', field: 'store.path' }),
    );
  });
});
