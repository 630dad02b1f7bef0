import { describe, expect, it } from 'vitest';
import { createLog } from '../base/log.js';
import type { PathChange } from './datapath.js';
import { nameOf, PathWatch } from './path-watch.js';

const up: PathChange = {
  address: '10.0.0.2',
  udpPort: 2152,
  port: 'n3',
  state: 'up',
  before: 'unknown',
  roundTripUs: 120,
  transitions: 1,
};
const down: PathChange = { ...up, state: 'down', before: 'up', transitions: 2 };

describe('PathWatch', () => {
  it('logs and tells each change of state once', () => {
    const lines: [string, unknown][] = [];
    const log = createLog({ level: 'silent' });
    log.info = ((fields: unknown) => lines.push(['info', fields])) as never;
    log.warn = ((fields: unknown) => lines.push(['warn', fields])) as never;
    let changes: PathChange[] = [];
    const watch = new PathWatch({ pathChanges: () => changes.splice(0) }, log);
    const told: PathChange[] = [];
    watch.listen((change) => told.push(change));
    watch.look();
    changes = [up];
    watch.look();
    watch.look();
    changes = [down];
    watch.look();
    watch.stop();
    expect(lines).toEqual([
      ['info', expect.objectContaining({ peer: '10.0.0.2', state: 'up', before: 'unknown' })],
      ['warn', expect.objectContaining({ peer: '10.0.0.2', state: 'down', before: 'up' })],
    ]);
    expect(told).toEqual([up, down]);
  });

  it('names a port that is not the usual one', () => {
    expect(nameOf({ ...up, udpPort: 2153 })).toBe('10.0.0.2:2153');
    expect(nameOf({ ...up, address: 'fd00::1', udpPort: 2153 })).toBe('[fd00::1]:2153');
  });
});
