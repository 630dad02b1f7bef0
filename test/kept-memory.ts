/**
 * Packet memory that outlives a node in this process, as a data folder and a file of shared
 * memory do. A kill is what a new process would find: the file as it is at that moment.
 */
import { copyFileSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the packet path keeps it when there are no huge pages. */
const SHARED_MEMORY = '/dev/shm';

export class KeptMemory {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-kept-'));
  readonly place = {
    name: `sluice-kept-${this.#folder.slice(-6)}`,
    snapshot: join(this.#folder, 'usage'),
  };

  readonly #clearUp = () => this.remove();

  constructor() {
    process.once('exit', this.#clearUp);
  }

  /** @param end  what the living one does at its end, of which nothing is left. */
  kill(end: () => void): void {
    const file = join(SHARED_MEMORY, this.place.name);
    if (!existsSync(file)) throw new Error(`packet memory is not in ${file}`);
    const copy = `${file}-killed`;
    copyFileSync(file, copy);
    end();
    rmSync(this.place.snapshot, { force: true });
    renameSync(copy, file);
  }

  remove(): void {
    process.off('exit', this.#clearUp);
    rmSync(this.#folder, { recursive: true, force: true });
    rmSync(join(SHARED_MEMORY, this.place.name), { force: true });
  }
}
