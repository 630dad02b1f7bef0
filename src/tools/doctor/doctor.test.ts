import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../base/config/config.js';
import { addressText } from './checks/listeners.js';
import { examine, tally } from './doctor.js';
import { machineProbe } from './machine-probe.js';
import {
  changed,
  complaints,
  container,
  examined,
  laptop,
  mendOf,
  server,
  serverYaml,
} from './machines.fixture.js';
import { listText, parseList } from './probe.js';

describe('a server that was set up', () => {
  it('is in order', () => {
    const findings = examined(server, serverYaml);
    expect(complaints(findings)).toEqual([]);
    expect(findings.map(({ found }) => found)).toEqual(
      expect.arrayContaining([
        'cores 18-19 are isolated for the workers',
        '2048 of 2048 2M pages are free; 811 are needed',
        'port n3: ens1f0 hangs on node 1, as the workers do',
        'port n3: 192.0.2.10 on ens1f0 (ice, 16 receive queues, node 1, MTU 9000), up',
        'GTP-U of n3: UDP 192.0.2.10:2152 is free',
        'the clock follows ntp1.example, 0.012 ms off',
      ]),
    );
  });

  it('is told when workers are far from NIC and memory', () => {
    const yaml = serverYaml.replace('[18, 19]', '[2, 3]');
    const findings = examined(server, yaml);
    expect(complaints(findings)).toEqual([
      'warning cores: cores 2-3 are not kept free by isolcpus, nohz_full, rcu_nocbs',
      'warning numa: port n3: ens1f0 hangs on node 1, the workers on node 0',
    ]);
    expect(mendOf(findings, /not kept free/)).toContain('isolcpus=2-3,18-19 nohz_full=2-3,18-19');
    expect(mendOf(findings, /hangs on/)).toMatch(
      /^\$\{EDITOR:-vi\} \/etc\/sluice\/sluice.yaml {3}# workers.cores: \[30, 31\]$/,
    );
    const split = examined(server, serverYaml.replace('[18, 19]', '[3, 19]'));
    expect(complaints(split)).toContain('note numa: workers are on nodes 0 and 1');
  });

  it('is told when no file can be made of huge pages, in which usage would survive', () => {
    const mounts = { '/proc/mounts': '/dev/sda1 / ext4 rw 0 0\n' };
    const findings = examined(changed(server, mounts), serverYaml);
    expect(complaints(findings)).toEqual([
      'warning hugepages: no hugetlbfs with 2M pages is mounted',
    ]);
    expect(mendOf(findings, /no hugetlbfs/)).toBe(
      'mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M none /dev/hugepages',
    );
    const foreign = { ...server, readOnly: ['/dev/hugepages'] };
    expect(mendOf(examined(foreign, serverYaml), /not writable for this user/)).toBe(
      'chown $(id -un) /dev/hugepages',
    );
  });

  it('may do without huge pages, on a tmpfs with room', () => {
    const shm = { '/proc/mounts': '/dev/sda1 / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n' };
    const yaml = serverYaml.replace('poll: busy', 'poll: busy, hugepages: off');
    expect(complaints(examined(changed(server, shm), yaml))).toEqual([
      'note hugepages: workers.hugepages is off; packet memory (1,701 MB) is on 4 kB pages',
    ]);
    const none = { '/proc/mounts': '/dev/sda1 / ext4 rw 0 0\n' };
    expect(complaints(examined(changed(server, none), yaml))[1]).toBe(
      'warning hugepages: /dev/shm is no tmpfs',
    );
  });

  it('is told what AF_XDP asks of its devices and privileges', () => {
    const yaml = serverYaml
      .replace('driver: socket, role: access', 'driver: afxdp, device: ens1f0, role: access')
      .replace('driver: tun,', 'driver: afxdp, device: ens9,');
    const findings = examined(server, yaml);
    expect(complaints(findings)).toEqual([
      'error interfaces: port n3: MTU 9000 of ens1f0 is more than a packet holds (1842)',
      'error interfaces: port n3: ens1f0 has 16 receive queues for 2 workers',
      'error interfaces: port n6: there is no interface ens9',
    ]);
    expect(mendOf(findings, /queues for 2 workers/)).toBe('ethtool -L ens1f0 combined 2');
    expect(findings.map(({ found }) => found)).toContain(
      'port n3: ens1f0 hangs on node 1, as the workers do',
    );
    const poor = changed(server, {
      '/proc/self/status': 'CapEff:\t0000000000001000\nCpus_allowed_list:\t0-31\n',
      '/proc/self/limits': 'Max locked memory         8192                 8192   bytes\n',
    });
    expect(complaints(examined(poor, yaml))).toEqual(
      expect.arrayContaining([
        'error privileges: CAP_BPF, CAP_NET_RAW are missing for n3, n6',
        expect.stringMatching(/^error privileges: less than [\d,]+ bytes of memory may be locked/),
      ]),
    );
  });

  it('is told that forwarding in the driver needs a bpffs', () => {
    const yaml = serverYaml.replace(
      'driver: socket, role: access',
      'driver: afxdp, device: ens1f0, forwardInDriver: true, role: access',
    );
    const found = 'warning privileges: no bpffs is mounted';
    const mounts = 'tmpfs /dev/shm tmpfs rw 0 0\n';
    const without = changed(server, { '/proc/mounts': mounts });
    expect(complaints(examined(without, yaml))).toContain(found);
    const bpffs = `${mounts}bpf /sys/fs/bpf bpf rw,mode=700 0 0\n`;
    const findings = examined(changed(server, { '/proc/mounts': bpffs }), yaml);
    expect(complaints(findings)).not.toContain(found);
  });

  it('is told when all free pages are on the other node', () => {
    const file = '/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages';
    const findings = examined(changed(server, { [file]: '12\n' }), serverYaml);
    expect(complaints(findings)).toEqual([
      'warning numa: 12 of the 2048 free 2M pages are on node 1, where the workers are; 811 are needed',
    ]);
    expect(mendOf(findings, /of the 2048/)).toBe(
      'echo 811 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages',
    );
  });

  it('knows the node that runs there already', () => {
    const free = '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages';
    const running = {
      ...changed(server, {
        '/var/lib/sluice/lock': '{"pid":55,"startTicks":"4711","bootId":"b00t"}\n',
        '/proc/sys/kernel/random/boot_id': 'b00t\n',
        '/proc/55/stat': `55 (node) S ${'0 '.repeat(18)}4711 0 0`,
        '/proc/55/comm': 'node\n',
        '/sys/class/net/sluice0/mtu': '1500\n',
        [free]: '100\n',
        '/proc/net/tcp6':
          '  sl  local_address\n   0: 0000000000000000FFFF00000100007F:C383 0:0 0A 0:0 0:0 0 0 0 31 1\n',
        '/proc/net/tcp':
          '  sl  local_address\n   0: 0100007F:C383 00000000:0000 0A 0:0 00:0 0 0 0 31 1\n',
      }),
      links: { ...server.links, '/proc/55/fd/9': 'socket:[31]' },
    };
    expect(complaints(examined(running, serverYaml))).toEqual([]);
    // The same lock of a process that is gone says nothing, and then these are mistakes.
    const gone = changed(running, { '/proc/55/stat': `55 (node) S ${'0 '.repeat(18)}9 0 0` });
    expect(complaints(examined(gone, serverYaml)).map((text) => text.split(':')[0])).toEqual([
      'warning hugepages',
      'warning hugepages',
      'error interfaces',
      'error ports',
    ]);
  });
});

describe('a container without privileges', () => {
  const findings = examined(container, 'store: { path: /data }');

  it('is told everything that keeps the node from working', () => {
    expect(complaints(findings)).toEqual([
      'error kernel: Linux 5.10.0-8-amd64 is older than 5.11',
      'note kernel: Linux 5.10.0-8-amd64 is older than 5.14',
      'error kernel: /dev/net/tun is not there',
      'error privileges: CAP_NET_ADMIN is missing',
      'note privileges: CAP_BPF is missing',
      'warning privileges: only 1,024 files may be open',
      'warning privileges: only 8,192 bytes of memory may be locked',
      'note processor: no CPU governor is to be seen',
      "warning cores: the container may use 0.5 cores' worth of time, for 1 workers",
      'note cores: no core is isolated for the workers',
      'warning hugepages: 0 of 0 2M huge pages are free; 811 are needed (1,701 MB)',
      'warning hugepages: /dev/shm has 60 MB free, packet memory takes up to 1,701 MB',
      'warning hugepages: 512 MB of memory are available; packet memory alone may take 1,701 MB',
      'note interfaces: port n3: 127.0.0.1 is a loopback address',
      'warning sysctls: net.ipv4.ip_forward is 0',
      'warning sysctls: net.ipv6.conf.all.forwarding is 0',
      'warning sysctls: net.core.rmem_max is 212,992',
      'warning sysctls: net.core.wmem_max is 212,992',
      'error ports: HTTP: TCP 127.0.0.1:9090 is taken by another process',
      'error storage: 60 MB are free for /data',
      'warning storage: /data is in memory (tmpfs)',
      'note clock: whether the clock is synchronised is not to be seen',
    ]);
  });

  it('gives a command for everything', () => {
    expect(mendOf(findings, /CAP_NET_ADMIN/)).toMatch(
      /^setcap cap_net_admin,cap_bpf\+ep \/usr\/bin\/node /,
    );
    expect(mendOf(findings, /rmem_max/)).toBe('sysctl net.core.rmem_max=33554432');
    expect(mendOf(findings, /2M huge pages/)).toBe('sysctl vm.nr_hugepages=811');
    const silent = findings.filter(({ level, mend }) => level !== 'ok' && mend === undefined);
    expect(silent.map(({ found }) => found)).toEqual(['no CPU governor is to be seen']);
  });

  it('counts by level', () => {
    expect(tally(findings)).toMatchObject({ error: 5, note: 6, warning: 11 });
  });

  it('is told that a data folder cannot be made', () => {
    const text = complaints(examined(container, 'store: { path: /var/lib/sluice }'));
    expect(text).toContain("error storage: /var/lib/sluice can't be made in /");
  });
});

describe('a laptop', () => {
  const yaml = `
workers: { count: 2, cores: [2, 3], hugepages: 2M }
ports:
  - { name: n3, driver: socket, role: access, addresses: [192.168.1.20] }
  - { name: n6, driver: tun, role: core, mtu: 1500, uePools: [10.60.0.0/16], masquerade: true }
`;
  const findings = examined(laptop, yaml);

  it('is told what it lacks', () => {
    expect(complaints(findings)).toEqual([
      'error kernel: the program nft is missing',
      'warning processor: the time stamp counter lacks nonstop_tsc',
      'warning processor: the CPU governor is powersave on 8 cores',
      "warning processor: the kernel's clock source is hpet",
      'warning cores: cores 2-3 are not kept free by isolcpus, nohz_full, rcu_nocbs',
      'warning cores: cores 2-3 are threads of one physical core',
      'error hugepages: 40 of 100 2M huge pages are free; 811 are needed (1,701 MB)',
      'error interfaces: port n3: wlp2s0 (192.168.1.20) is down',
      'warning interfaces: port n3: MTU 1500 of wlp2s0 has no room for a full packet of N6 in a tunnel (1544)',
      'note interfaces: port n3: wlp2s0 has 1 receive queues for 2 workers',
      'error interfaces: port n6: a device sluice0 exists already',
      'note sysctls: rp_filter of sluice0 is strict (1)',
      'note sysctls: net.ipv4.conf.all.send_redirects is 1',
      'error ports: GTP-U of n3: UDP 192.168.1.20:2152 is taken by open5gs-upfd (process 999)',
      'warning clock: the clock is not synchronised',
    ]);
  });

  it("hears of outer fragments only where the port's own MTU leaves them to the kernel", () => {
    const room = (port: string, mtu: number) => {
      const link = { '/sys/class/net/wlp2s0/mtu': `${mtu}\n` };
      const withPort = yaml.replace('addresses: [192', `${port}, addresses: [192`);
      const all = examined(changed(laptop, link), withPort);
      return all.filter(({ found }) => found.includes('has no room'));
    };
    expect(room('mtu: 1544', 1600)).toEqual([]);
    expect(room('mtu: 1600', 1500)).toMatchObject([
      { level: 'warning', means: expect.stringMatching(/^large .* as two fragments/) },
    ]);
    const told = {
      level: 'note',
      found: 'port n3: MTU 1500 of its own has no room for a full packet of N6 in a tunnel (1544)',
      means: expect.stringMatching(/^large .* told by ICMP/),
    };
    expect(room('mtu: 1500', 1500)).toMatchObject([
      { ...told, mend: expect.stringMatching(/^ip link set dev wlp2s0 mtu 1600/) },
    ]);
    expect(room('mtu: 1500', 1600)).toMatchObject([
      { ...told, mend: expect.stringContaining('ports: n3: mtu: 1544') },
    ]);
  });

  it('adds to what others have reserved', () => {
    expect(mendOf(findings, /2M huge pages/)).toBe('sysctl vm.nr_hugepages=871');
    expect(mendOf(findings, /is taken by/)).toMatch(/^kill 999 /);
    expect(mendOf(findings, /not synchronised/)).toBe('timedatectl set-ntp true');
  });

  it('is refused what it has no cores for', () => {
    const text = complaints(examined(laptop, 'workers: { count: 8, poll: busy }'));
    expect(text).toContain(
      'error cores: 8 cores may be used (0-7), for 8 workers that spin and the control plane',
    );
    const foreign = complaints(examined(laptop, 'workers: { count: 1, cores: [12] }'));
    expect(foreign).toContain('error cores: workers.cores names 12, but this process may use 0-7');
    const all = complaints(examined(laptop, 'workers: { count: 8, cores: [0,1,2,3,4,5,6,7] }'));
    expect(all).toContain('warning cores: no core is left for the control plane');
  });
});

it('says so when the native part is not built', () => {
  const findings = examined({ ...server, packetMemoryBytes: undefined }, serverYaml);
  expect(mendOf(findings, /is not known/)).toBe('npm run build');
});

it('says what the self test of cryptography found', () => {
  const results = [
    { algorithm: 'SM3', mode: 'stream', by: 'portable', holds: true },
    { algorithm: 'SM3', mode: 'lanes', by: 'avx2', holds: false },
  ] as const;
  const broken = { ...server, cryptoSelfTest: { tier: 'avx2', results } } as const;
  expect(complaints(examined(broken, serverYaml))).toEqual([
    'error cryptography: the self test of cryptography failed: SM3 (lanes, avx2)',
  ]);
  const missing = examined({ ...server, cryptoSelfTest: 'it is not built' }, serverYaml);
  expect(mendOf(missing, /self test cannot run/)).toBe('npm run build');
  const forced = { ...server, cryptoSelfTest: 'SLUICE_CRYPTO_TIER is mmx' };
  expect(mendOf(examined(forced, serverYaml), /is mmx/)).toBe('unset SLUICE_CRYPTO_TIER');
  const path = { ...server, cryptoSelfTest: 'SLUICE_PATH_TIER is mmx' };
  expect(mendOf(examined(path, serverYaml), /is mmx/)).toBe('unset SLUICE_PATH_TIER');
});

it('reads unix sockets, and who listens on them', () => {
  const yaml = `${serverYaml}api: { listen: "unix:/run/sluice.sock" }\n`;
  const listening = {
    ...changed(server, {
      '/proc/net/unix':
        'Num       RefCount Protocol Flags    Type St Inode Path\n' +
        '0000: 00000002 00000000 00010000 0001 01 88 /run/sluice.sock\n',
      '/proc/12/comm': 'node\n',
    }),
    links: { ...server.links, '/proc/12/fd/3': 'socket:[88]' },
  };
  expect(complaints(examined(listening, yaml))).toEqual([
    'error ports: gRPC: /run/sluice.sock is taken by node (process 12)',
  ]);
  expect(complaints(examined(server, yaml))).toEqual([]);
});

describe('what the kernel writes', () => {
  it('lists of cores', () => {
    expect(parseList('0-3,8\n')).toEqual([0, 1, 2, 3, 8]);
    expect(parseList('\n')).toEqual([]);
    expect(parseList(undefined)).toEqual([]);
    expect(listText([8, 0, 2, 1, 3, 3])).toBe('0-3,8');
  });
  it('addresses of sockets', () => {
    expect(addressText('0100007F')).toBe('127.0.0.1');
    expect(addressText('00000000000000000000000000000000')).toBe('::');
    expect(addressText('B80D0120000000000000000001000000')).toBe('2001:db8::1');
  });
});

it('looks at the machine it runs on without a failure', () => {
  const findings = examine(machineProbe, parseConfig('', 'sluice.yaml'), undefined);
  const checks = new Set(findings.map(({ check }) => check));
  expect([...checks]).toEqual([
    'kernel',
    'privileges',
    'processor',
    'cryptography',
    'cores',
    'hugepages',
    'numa',
    'interfaces',
    'sysctls',
    'ports',
    'storage',
    'clock',
  ]);
  expect(findings.every(({ found }) => !/undefined|NaN|\[object/.test(found))).toBe(true);
});
