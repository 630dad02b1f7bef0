import { describe, expect, it } from 'vitest';
import { type PortConfig, parseConfig } from '../base/config/config.js';
import { espObstacle, espPorts } from './esp-obstacle.js';

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

describe('the ports that what is sealed leaves by', () => {
  const own = { ...n3, name: 'n9b', driver: 'afxdp', device: 'ens5', addresses: ['10.0.1.1'] };
  const all = ports(n3, n9, n6, own);

  it('are the one that has the local address', () => {
    expect(espPorts(all, { local: '10.0.0.2', inUdp: true })).toBe(0b10);
    expect(espPorts(all, { local: 'FD00:0::0A', inUdp: true })).toBe(0b1);
  });

  it('are those to which an address of none of them may be routed', () => {
    const elsewhere = { local: '10.0.0.9', inUdp: true };
    expect(espPorts(all, elsewhere)).toBe(0b100);
    expect(espPorts(ports(n3, n9, n6, { ...own, esp: true }), elsewhere)).toBe(0b1100);
    expect(espPorts(sockets, elsewhere)).toBe(0);
  });
});
