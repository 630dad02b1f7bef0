/**
 * One process at a time on a data folder: a lock file that says who holds it. A holder that
 * was killed is recognised by its process being gone: the ID together with the start time of
 * the process and the machine's boot, so that a reused process ID is no holder.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '../base/errors.js';

const NAME = 'lock';
const ATTEMPTS = 10;

interface Holder {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process. */
  readonly startTicks: string;
  readonly bootId: string;
}

/** The machine's current boot; '' where the kernel doesn't say. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

export class FolderLock {
  #held = true;

  private constructor(
    private readonly file: string,
    private readonly content: string,
  ) {}

  /** Takes the lock; a SluiceError names the process that has it. */
  static take(folder: string): FolderLock {
    const file = join(folder, NAME);
    const own: Holder = {
      pid: process.pid,
      startTicks: statOf(process.pid)[1],
      bootId: bootId(),
    };
    const content = `${JSON.stringify(own)}\n`;
    const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(draft, content, { flag: 'wx' });
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        // A link is made whole or not at all, and fails when the name is taken.
        if (link(draft, file)) return new FolderLock(file, content);
        removeStale(file, folder);
      }
    } finally {
      unlinkSync(draft);
    }
    throw locked(folder, 'several processes are trying for it');
  }

  /** Idempotent. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    if (read(this.file) === this.content) unlinkSync(this.file);
  }
}

/** Takes away a dead holder's file; throws while the holder lives. */
function removeStale(file: string, folder: string): void {
  const found = read(file);
  if (found === undefined) return;
  refuseLiving(found, folder);
  // Moved first: if somebody replaced the file meanwhile, the living holder's goes back.
  const aside = `${file}.stale.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = read(aside);
  if (moved !== undefined && moved !== found) link(aside, file);
  unlinkSync(aside);
  if (moved !== undefined) refuseLiving(moved, folder);
}

function refuseLiving(content: string, folder: string): void {
  const holder = parse(content);
  if (holder !== undefined && isAlive(holder)) {
    throw locked(folder, `process ${holder.pid} is using it`);
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.bootId !== '' && holder.bootId !== bootId()) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // Not ours to signal means that it is there.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const [state, ticks] = statOf(holder.pid);
  // Ended, and only its parent has not asked how.
  if (state === 'Z' || state === 'X') return false;
  return holder.startTicks === '' || ticks === '' || ticks === holder.startTicks;
}

/** State and start time, fields 3 and 22 of /proc/PID/stat. The name in field 2 may hold anything. */
function statOf(pid: number): readonly [state: string, startTicks: string] {
  const stat = read(`/proc/${pid}/stat`) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [fields[0] ?? '', fields[19] ?? ''];
}

function parse(content: string): Holder | undefined {
  try {
    const value = JSON.parse(content) as Partial<Holder>;
    if (!Number.isInteger(value.pid)) return undefined;
    return {
      pid: value.pid!,
      startTicks: String(value.startTicks ?? ''),
      bootId: String(value.bootId ?? ''),
    };
  } catch {
    return undefined;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function locked(folder: string, why: string): SluiceError {
  return new SluiceError(
    'failed_precondition',
    `the data folder ${folder} is locked: ${why}; stop that process, or set another store.path`,
    { field: 'store.path' },
  );
}
