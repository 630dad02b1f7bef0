import { type Finding, Findings } from '../finding.js';
import { CAP_NET_ADMIN, hasCapability, type Machine, type Probe, readNumber } from '../probe.js';

/** What the node asks for per N3 socket, doubled as the kernel counts. */
const SOCKET_BUFFER = 33_554_432;

/** Settings of the kernel's network, as far as the configured ports touch them. */
export function checkSysctls(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('sysctls');
  const get = (name: string) => readNumber(probe, `/proc/sys/${name.replaceAll('.', '/')}`);
  for (const port of config.ports.filter(({ driver }) => driver === 'tun')) {
    const families = [
      { of: 'IPv4', key: 'net.ipv4.ip_forward', has: (pool: string) => !pool.includes(':') },
      {
        of: 'IPv6',
        key: 'net.ipv6.conf.all.forwarding',
        has: (pool: string) => pool.includes(':'),
      },
    ];
    for (const { of, key, has } of families) {
      if (!port.uePools.some(has)) continue;
      if (get(key) === 1) findings.ok(`${key} is 1`);
      else if (port.masquerade) findings.ok(`${key} is 0; port ${port.name} sets it (masquerade)`);
      else {
        findings.warning(
          `${key} is ${get(key) ?? 'not there'}`,
          `UEs of ${port.name} reach this machine by ${of}, and nothing behind it`,
          `sysctl ${key}=1`,
        );
      }
    }
    reversePathFinding(findings, probe, port.device);
    if (port.uePools.some((pool) => !pool.includes(':'))) redirectFinding(findings, port.name, get);
  }
  if (config.ports.some(({ driver }) => driver === 'socket')) bufferFindings(findings, probe, get);
  return findings.all;
}

/** The stricter of "all" and the device's own counts; a device that is not there gets the default. */
function reversePathFinding(findings: Findings, probe: Probe, device: string): void {
  const folder = '/proc/sys/net/ipv4/conf';
  const own = readNumber(probe, `${folder}/${device}/rp_filter`);
  const value = own ?? readNumber(probe, `${folder}/default/rp_filter`);
  const all = readNumber(probe, `${folder}/all/rp_filter`);
  if (value === undefined || all === undefined) return;
  if (Math.max(value, all) !== 1) {
    findings.ok(`rp_filter of ${device} is ${Math.max(value, all)}`);
    return;
  }
  findings.note(
    `rp_filter of ${device} is strict (1)`,
    "packets of UEs are dropped by the kernel where the way back isn't by this device",
    `sysctl net.ipv4.conf.${own === undefined ? 'default' : device}.rp_filter=2`,
  );
}

/** The device's own is set to 0 when the port opens, but either of the two is enough. */
function redirectFinding(
  findings: Findings,
  port: string,
  get: (name: string) => number | undefined,
): void {
  const key = 'net.ipv4.conf.all.send_redirects';
  if (get(key) !== 1) return;
  findings.note(
    `${key} is 1`,
    `a UE of ${port} that sends to an address of the pool that no UE has gets ICMP Redirects`,
    `sysctl ${key}=0   # other devices keep to their own`,
  );
}

function bufferFindings(
  findings: Findings,
  probe: Probe,
  get: (name: string) => number | undefined,
): void {
  const privileged = hasCapability(probe, CAP_NET_ADMIN);
  for (const key of ['net.core.rmem_max', 'net.core.wmem_max']) {
    const value = get(key);
    if (value === undefined) continue;
    if (value >= SOCKET_BUFFER || privileged) {
      const why = value >= SOCKET_BUFFER ? '' : '; with CAP_NET_ADMIN the node may exceed it';
      findings.ok(`${key} is ${value.toLocaleString('en-US')}${why}`);
    } else {
      findings.warning(
        `${key} is ${value.toLocaleString('en-US')}`,
        'short bursts on N3 overflow the socket: lost before the node sees them',
        `sysctl ${key}=${SOCKET_BUFFER}`,
      );
    }
  }
}
