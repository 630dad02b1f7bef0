import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { expect, it } from 'vitest';

it('ends nothing when its lines cannot be written', () => {
  const url = new URL('./log.ts', import.meta.url).href;
  const script = `
    const { createLog } = await import(${JSON.stringify(url)});
    const log = createLog({ level: 'info' });
    for (let i = 0; i < 30_000; i++) log.info({ i }, 'a line that finds no room on the disk');
    console.log('goes on');
  `;
  const ended = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', script],
    { stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')], encoding: 'utf8' },
  );
  expect(ended).toMatchObject({ status: 0, stdout: 'goes on\n' });
});
