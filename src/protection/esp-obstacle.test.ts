import { describe, expect, it } from 'vitest';
import { type PortConfig, parseConfig } from '../base/config/config.js';
import { espObstacle } from './esp-obstacle.js';

function ports(...of: object[]): readonly PortConfig[] {
  return parseConfig(JSON.stringify({ ports: of }), 'test.yaml').ports;
}
const n3 = { name: 'n3', driver: 'socket', role: 'access', addresses: ['10.0.0.1', 'fd00::a'] };
const n9 = { ...n3, name: 'n9', addresses: ['10.0.0.2'], espInUdp: true };
const n6 = { name: 'n6', driver: 'tun', role: 'core', uePools: ['10.60.0.0/16'] };
const sockets = ports(n3, n9);
const withDevice = ports(n3, n6);

describe('what stands between a protection and its port', () => {
  it.each([
    ['a port without the UDP port of ESP', sockets, '10.0.0.1', true, 'udp_encapsulation', '4500'],
    ['the same in another spelling', sockets, 'FD00:0::0A', true, 'udp_encapsulation', '4500'],
    [
      'ESP by itself over a socket',
      sockets,
      '10.0.0.2',
      false,
      'udp_encapsulation',
      'in UDP alone',
    ],
    ['an address of nobody here', sockets, '10.0.0.3', true, 'local_address', 'on no port'],
    ['that of another family', sockets, '::a00:2', true, 'local_address', 'on no port'],
  ] as const)('is %s', (_, of, local, inUdp, field, text) => {
    expect(espObstacle(of, { local, inUdp })).toEqual({
      field,
      message: expect.stringContaining(text),
    });
  });

  it('is nothing where a socket has its address, or a device may bring it', () => {
    expect(espObstacle(sockets, { local: '10.0.0.2', inUdp: true })).toBeUndefined();
    expect(espObstacle(withDevice, { local: '10.0.0.3', inUdp: false })).toBeUndefined();
    expect(espObstacle(withDevice, { local: '10.0.0.1', inUdp: true })).toBeDefined();
  });
});
