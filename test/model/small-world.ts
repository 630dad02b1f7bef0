/** A small world, so that rules meet: few addresses, ports, QFIs. */
export const REMOTES_V4 = ['203.0.113.9', '203.0.113.200', '198.51.100.7', '8.8.8.8'];
export const REMOTES_V6 = ['2001:db8::9', '2001:db8:1::9', '2001:db8:ffff::1', '2606:4700::1'];
/** Without business on N6, or with a policy of their own. */
export const ODD_V4 = [
  '224.0.0.5',
  '255.255.255.255',
  '0.0.0.0',
  '127.0.0.1',
  '169.254.1.1',
  '240.0.0.1',
  '10.0.0.1',
];
export const ODD_V6 = ['ff0e::1', 'ff02::1', '::', '::1', '::ffff:102:304', 'fe80::1', 'fd00::1'];
export const PORTS = [53, 80, 443, 547, 2152, 5000, 5010, 40_000];
export const PROTOCOLS = [17, 17, 6, 1, 50, 51, 132, 89];
export const TOS = [0, 0, 0x20, 0xb8];
export const SPIS = [0x11, 0x1234_5678];
export const FLOW_LABELS = [0, 0x7, 0xfffff];
export const QFIS = [1, 2, 9, 63];
export const SESSIONS = 32;
