/** For tests: machines made of texts. */
import { parseConfig } from '../../base/config/config.js';
import type { SelfTestReport } from '../../crypto/self-test.js';
import { examine } from './doctor.js';
import type { Finding } from './finding.js';
import type { Probe } from './probe.js';

export interface MachineTexts {
  /** Text by path; folders follow from the paths. */
  readonly files: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly readOnly?: readonly string[];
  readonly addresses?: Readonly<Record<string, string>>;
  /** Output by command line. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly freeBytes?: number;
  readonly packetMemoryBytes?: number | undefined;
  readonly cryptoSelfTest?: SelfTestReport | string;
}

export function probeOf(machine: MachineTexts): Probe {
  const { files, links = {}, readOnly = [], addresses = {}, programs = {} } = machine;
  const paths = [...Object.keys(files), ...Object.keys(links)];
  return {
    read: (path) => files[path],
    list: (path) => [
      ...new Set(
        paths
          .filter((one) => one.startsWith(`${path}/`))
          .map((one) => one.slice(path.length + 1).split('/')[0]!),
      ),
    ],
    link: (path) => links[path],
    exists: (path) =>
      path === '/' || paths.some((one) => one === path || one.startsWith(`${path}/`)),
    writable: (path) => !readOnly.some((one) => path === one || path.startsWith(`${one}/`)),
    freeBytes: () => machine.freeBytes ?? 100e9,
    run: (program, ...args) => programs[[program, ...args].join(' ')],
    addresses: () =>
      Object.entries({ '127.0.0.1': 'lo', ...addresses }).map(([address, device]) => ({
        address,
        device,
      })),
    packetMemoryBytes: () =>
      'packetMemoryBytes' in machine ? machine.packetMemoryBytes : 811 * 2 ** 21,
    cryptoSelfTest: () => machine.cryptoSelfTest ?? { tier: 'avx2', results: [] },
    nodePath: '/usr/bin/node',
    nodeVersion: '20.20.2',
  };
}

/** Findings of a machine for a configuration, as YAML. */
export function examined(machine: MachineTexts, yaml = ''): Finding[] {
  return examine(
    probeOf(machine),
    parseConfig(yaml, '/etc/sluice/sluice.yaml'),
    '/etc/sluice/sluice.yaml',
  );
}

/** "level check: what" of all that is not in order. */
export const complaints = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ level }) => level !== 'ok')
    .map(({ level, check, found }) => `${level} ${check}: ${found}`);
export const mendOf = (findings: readonly Finding[], found: RegExp): string | undefined => {
  const finding = findings.find((one) => found.test(one.found));
  if (finding === undefined) throw new Error(`no finding ${found}`);
  return finding.mend;
};
export const changed = (
  machine: MachineTexts,
  files: Readonly<Record<string, string>>,
): MachineTexts => ({
  ...machine,
  files: { ...machine.files, ...files },
});

const ALL_CAPABILITIES = '000001ffffffffff';
const status = (capabilities: string, cores: string) =>
  `Name:\tsluice\nCapEff:\t${capabilities}\nCpus_allowed_list:\t${cores}\n`;
const limits = (files: string, locked: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\n` +
  `Max open files            ${files}              1048576              files\n` +
  `Max locked memory         ${locked}            unlimited            bytes\n`;
const cpuinfo = (model: string, flags: string) =>
  `processor\t: 0\nmodel name\t: ${model}\nflags\t\t: fpu ${flags}\n`;
const sysctls = (values: Readonly<Record<string, string | number>>) =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      `/proc/sys/${key.replaceAll('.', '/')}`,
      `${value}\n`,
    ]),
  );
const hugepages = (kilobytes: number, reserved: number, free: number) => {
  const folder = `/sys/kernel/mm/hugepages/hugepages-${kilobytes}kB`;
  return {
    [`${folder}/nr_hugepages`]: `${reserved}\n`,
    [`${folder}/free_hugepages`]: `${free}\n`,
    [`${folder}/resv_hugepages`]: '0\n',
  };
};
const nic = (name: string, node: number, mtu: number, queues: number, state = 'up') => ({
  [`/sys/class/net/${name}/operstate`]: `${state}\n`,
  [`/sys/class/net/${name}/mtu`]: `${mtu}\n`,
  [`/sys/class/net/${name}/device/numa_node`]: `${node}\n`,
  ...Object.fromEntries(
    Array.from({ length: queues }, (_, i) => [
      `/sys/class/net/${name}/queues/rx-${i}/rps_cpus`,
      '0\n',
    ]),
  ),
});

/** Two sockets of 16 cores each, a NIC on the second, everything set up for cores 18 and 19. */
export const server: MachineTexts = {
  files: {
    '/proc/sys/kernel/osrelease': '6.1.0-18-amd64\n',
    '/proc/self/status': status(ALL_CAPABILITIES, '0-17,20-31'),
    '/proc/self/limits': limits('65536', 'unlimited'),
    '/proc/cpuinfo': cpuinfo('AMD EPYC 9354', 'avx2 constant_tsc nonstop_tsc'),
    '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz isolcpus=18,19 nohz_full=18,19 rcu_nocbs=18,19\n',
    '/proc/mounts':
      '/dev/sda1 / ext4 rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n',
    '/proc/meminfo': 'MemTotal: 263000000 kB\nMemAvailable: 240000000 kB\n',
    '/dev/net/tun': '',
    '/usr/sbin/nft': '',
    '/var/lib/sluice/data.mdb': '',
    '/sys/devices/system/cpu/online': '0-31\n',
    '/sys/devices/system/cpu/isolated': '18-19\n',
    '/sys/devices/system/cpu/nohz_full': '18-19\n',
    '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'performance\n',
    '/sys/devices/system/cpu/cpu18/cpufreq/scaling_governor': 'performance\n',
    '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc\n',
    '/sys/devices/system/node/node0/cpulist': '0-15\n',
    '/sys/devices/system/node/node1/cpulist': '16-31\n',
    '/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages': '1024\n',
    ...hugepages(2048, 2048, 2048),
    ...nic('ens1f0', 1, 9000, 16),
    ...sysctls({
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.forwarding': 1,
      'net.ipv4.conf.all.rp_filter': 2,
      'net.ipv4.conf.default.rp_filter': 2,
      'net.core.rmem_max': 33554432,
      'net.core.wmem_max': 33554432,
      'net.core.bpf_jit_enable': 1,
    }),
  },
  links: { '/sys/class/net/ens1f0/device/driver': '../../../bus/pci/drivers/ice' },
  addresses: { '192.0.2.10': 'ens1f0' },
  programs: {
    'chronyc -c tracking':
      'C0000201,ntp1.example,2,1764117000.1,0.000012,0.00001,0.00002,1.5,0.1,0.2,0.01,0.02,64.2,Normal\n',
  },
};

export const serverYaml = `
store: { path: /var/lib/sluice }
workers: { count: 2, cores: [18, 19], poll: busy }
ports:
  - { name: n3, driver: socket, role: access, addresses: [192.0.2.10] }
  - { name: n6, driver: tun, role: core, uePools: [10.60.0.0/16, 'fd00:60::/40'] }
`;

/** A container: an ordinary user, half a core's time, no TUN device, files in memory. */
export const container: MachineTexts = {
  files: {
    '/proc/sys/kernel/osrelease': '5.10.0-8-amd64\n',
    '/proc/self/status': status('0000000000000000', '0-3'),
    '/proc/self/limits': limits('1024', '8192'),
    '/proc/cpuinfo': cpuinfo('Intel Xeon Gold', 'avx2 constant_tsc nonstop_tsc'),
    '/proc/mounts':
      'overlay / overlay rw 0 0\ntmpfs /data tmpfs rw 0 0\nshm /dev/shm tmpfs rw,size=65536k 0 0\n',
    '/proc/meminfo': 'MemAvailable: 500000 kB\n',
    '/sys/fs/cgroup/cpu.max': '50000 100000\n',
    '/sys/devices/system/cpu/online': '0-3\n',
    '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc\n',
    '/data/data.mdb': '',
    '/proc/net/tcp':
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n' +
      '   0: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1\n',
    ...sysctls({
      'net.ipv4.ip_forward': 0,
      'net.ipv6.conf.all.forwarding': 0,
      'net.core.rmem_max': 212992,
      'net.core.wmem_max': 212992,
    }),
  },
  readOnly: ['/'],
  freeBytes: 60e6,
};

/** A laptop: powersave, SMT, one NIC that is down, nothing reserved. */
export const laptop: MachineTexts = {
  files: {
    '/proc/sys/kernel/osrelease': '6.12.0-1-amd64\n',
    '/proc/self/status': status(ALL_CAPABILITIES, '0-7'),
    '/proc/self/limits': limits('1048576', 'unlimited'),
    '/proc/cpuinfo': cpuinfo('Core i7', 'avx2 constant_tsc'),
    '/proc/mounts': '/dev/nvme0n1p2 / btrfs rw 0 0\n',
    '/proc/meminfo': 'MemAvailable: 12000000 kB\n',
    '/dev/net/tun': '',
    '/lib/systemd/systemd-timesyncd': '',
    '/sys/devices/system/cpu/online': '0-7\n',
    '/sys/devices/system/cpu/isolated': '\n',
    ...Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [
        `/sys/devices/system/cpu/cpu${i}/topology/thread_siblings_list`,
        `${i & ~1}-${i | 1}\n`,
      ]),
    ),
    ...Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [
        `/sys/devices/system/cpu/cpu${i}/cpufreq/scaling_governor`,
        'powersave\n',
      ]),
    ),
    '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'hpet\n',
    '/sys/devices/system/clocksource/clocksource0/available_clocksource': 'hpet acpi_pm\n',
    '/sys/devices/system/node/node0/cpulist': '0-7\n',
    '/sys/class/net/sluice0/mtu': '1500\n',
    ...hugepages(2048, 100, 40),
    ...hugepages(1048576, 0, 0),
    ...nic('wlp2s0', -1, 1500, 1, 'down'),
    ...sysctls({
      'net.ipv4.ip_forward': 0,
      'net.ipv6.conf.all.forwarding': 1,
      'net.ipv4.conf.all.rp_filter': 1,
      'net.ipv4.conf.default.rp_filter': 0,
      'net.ipv4.conf.all.send_redirects': 1,
      'net.core.rmem_max': 212992,
    }),
    '/proc/net/udp':
      '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n' +
      '  1: 00000000:0868 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0 0\n',
    '/proc/999/comm': 'open5gs-upfd\n',
  },
  links: { '/proc/999/fd/7': 'socket:[4242]' },
  addresses: { '192.168.1.20': 'wlp2s0' },
  programs: { 'timedatectl show -p NTPSynchronized --value': 'no\n' },
};
