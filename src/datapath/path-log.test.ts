import { describe, expect, it } from 'vitest';
import { createLog } from '../base/log.js';
import type { DatapathStatus, PeerStatus } from './datapath.js';
import { nameOf, PathLog } from './path-log.js';

const peer: PeerStatus = {
  address: '10.0.0.2',
  udpPort: 2152,
  port: 'n3',
  state: 'up',
  roundTripUs: 120,
  transitions: 1,
};

describe('PathLog', () => {
  it('logs each change of state once', () => {
    const lines: [string, unknown][] = [];
    const log = createLog({ level: 'silent' });
    log.info = ((fields: unknown) => lines.push(['info', fields])) as never;
    log.warn = ((fields: unknown) => lines.push(['warn', fields])) as never;
    let transitions = 0;
    let peers: readonly PeerStatus[] = [];
    const status = (): DatapathStatus => ({
      ports: [],
      workers: [],
      warnings: [],
      plan: '',
      regionBytesUsed: 0,
      peers,
      peersTotal: 1,
    });
    const watch = new PathLog({ status, pathTransitions: () => transitions }, log);
    watch.look();
    transitions = 1;
    peers = [peer];
    watch.look();
    watch.look();
    transitions = 2;
    peers = [{ ...peer, state: 'down' }];
    watch.look();
    watch.stop();
    expect(lines).toEqual([
      ['info', expect.objectContaining({ peer: '10.0.0.2', state: 'up', before: 'unknown' })],
      ['warn', expect.objectContaining({ peer: '10.0.0.2', state: 'down', before: 'up' })],
    ]);
  });

  it('names a port that is not the usual one', () => {
    expect(nameOf({ ...peer, udpPort: 2153 })).toBe('10.0.0.2:2153');
    expect(nameOf({ ...peer, address: 'fd00::1', udpPort: 2153 })).toBe('[fd00::1]:2153');
  });
});
