import { expect, it } from 'vitest';
import {
  changed,
  complaints,
  examined,
  type MachineTexts,
  mendOf,
  server,
  serverYaml,
} from '../../machines.fixture.js';

it('a machine has devices of DPDK, or is told what to do with them', () => {
  const ports = (device: string) =>
    serverYaml.replace(
      /- \{ name: n3.*/,
      `- { name: n3, driver: dpdk, role: access, device: '${device}', addresses: [192.0.2.10], gateway: [192.0.2.1], mtu: 1600 }`,
    );
  const folder = '/sys/bus/pci/devices/0000:01:00.0';
  const driver = `${folder}/driver`;
  const group = { [`${folder}/iommu_group`]: '../../../kernel/iommu_groups/12' };
  const withDevice = (files: Record<string, string>, links: Record<string, string>) => ({
    ...changed(server, { [`${folder}/numa_node`]: '1\n', ...files }),
    links: { ...server.links, ...links },
  });
  const vfio = { [driver]: '../../../bus/pci/drivers/vfio-pci' };
  const good = examined(withDevice({}, { ...vfio, ...group }), ports('01:00.0'));
  expect(complaints(good)).toEqual([]);
  expect(good.map(({ found }) => found)).toEqual(
    expect.arrayContaining([
      "port n3: 01:00.0 is DPDK's, by vfio-pci and IOMMU group 12",
      'port n3: 0000:01:00.0 hangs on node 1, as the workers do',
    ]),
  );
  const found = (machine: MachineTexts) => complaints(examined(machine, ports('0000:01:00.0')));
  expect(found(server)).toEqual(['error dpdk: port n3: 0000:01:00.0 is not there']);
  const kernels = withDevice({}, { [driver]: '../../../bus/pci/drivers/ice', ...group });
  expect(found(kernels)).toEqual([
    'error dpdk: port n3: 0000:01:00.0 is driven by ice, not by vfio-pci',
  ]);
  expect(mendOf(examined(kernels, ports('0000:01:00.0')), /driven by/)).toBe(
    `modprobe vfio-pci && echo vfio-pci > ${folder}/driver_override && ` +
      `echo 0000:01:00.0 > ${folder}/driver/unbind && echo 0000:01:00.0 > /sys/bus/pci/drivers_probe`,
  );
  expect(found(withDevice({}, { [driver]: '../../../bus/pci/drivers/mlx5_core' }))).toEqual([]);
  expect(found(withDevice({}, vfio))).toEqual([
    'error dpdk: port n3: 0000:01:00.0 is behind no IOMMU',
  ]);
  const narrow = { [`${folder}/iommu/intel-iommu/cap`]: 'd2008c22260286\n' };
  expect(found(withDevice(narrow, { ...vfio, ...group }))).toEqual([
    'error dpdk: port n3: 0000:01:00.0 is behind an IOMMU of 39 address bits',
  ]);
  const closed = { ...withDevice({}, { ...vfio, ...group }), readOnly: ['/dev/vfio/12'] };
  expect(found(closed)).toEqual([
    'error dpdk: port n3: 0000:01:00.0 is of IOMMU group 12, which this user may not use',
  ]);
  const virtual = examined(server, ports('net_memif0,role=client'));
  expect(complaints(virtual)).toEqual([]);
  const few = changed(withDevice({}, { ...vfio, ...group }), {
    '/proc/self/status': 'CapEff:\t0000000000003000\nCpus_allowed_list:\t0-31\n',
    '/proc/self/limits': 'Max locked memory         65536            unlimited            bytes\n',
  });
  expect(complaints(examined(few, ports('01:00.0')))).toContain(
    'error privileges: less than 1,700,790,272 bytes of memory may be locked, as n3 asks for',
  );
});
