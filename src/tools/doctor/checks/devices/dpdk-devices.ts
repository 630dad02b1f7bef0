import { type Finding, Findings } from '../../finding.js';
import type { Machine, Probe } from '../../probe.js';

export const PCI = '/sys/bus/pci/devices';
/** Kernel drivers that DPDK works beside; any other has to be taken off the device. */
const SHARING_DRIVERS = ['mlx4_core', 'mlx5_core', 'mana'];
/** Bits of the addresses that a process has: DPDK shows devices the packet memory at its own. */
const PROCESS_ADDRESS_BITS = 47;

/** The PCI address in a `device`, with its domain; undefined: a device without hardware. */
export function pciAddressOf(device: string): string | undefined {
  const found = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/i.exec(device);
  return found === null ? undefined : `${found[1] ?? '0000'}:${found[2]}`.toLowerCase();
}

/** Each device on PCI that a `dpdk` port has: is it there, DPDK's, and behind an IOMMU. */
export function checkDpdkDevices(machine: Machine): Finding[] {
  const { probe, config } = machine;
  const findings = new Findings('dpdk');
  for (const { name, driver, device } of config.ports) {
    if (driver !== 'dpdk') continue;
    const address = pciAddressOf(device);
    const port = `port ${name}: ${device}`;
    if (address === undefined) findings.ok(`${port} is a device without hardware`);
    else deviceFindings(findings, probe, port, address);
  }
  return findings.all;
}

function deviceFindings(findings: Findings, probe: Probe, port: string, address: string): void {
  const folder = `${PCI}/${address}`;
  const refused = 'the node refuses to start';
  if (!probe.exists(folder)) {
    findings.error(`${port} is not there`, refused, `ls ${PCI}   # the devices that are`);
    return;
  }
  const driver = nameOf(probe, `${folder}/driver`);
  if (driver !== undefined && SHARING_DRIVERS.includes(driver)) {
    findings.ok(`${port} stays with the kernel's ${driver}, which shares it`);
    return;
  }
  if (driver !== 'vfio-pci') {
    findings.error(
      `${port} is driven by ${driver ?? 'nobody'}, not by vfio-pci`,
      driver === undefined
        ? refused
        : `${refused}; the kernel loses the device's interface by this`,
      [
        'modprobe vfio-pci',
        `echo vfio-pci > ${folder}/driver_override`,
        ...(driver === undefined ? [] : [`echo ${address} > ${folder}/driver/unbind`]),
        `echo ${address} > /sys/bus/pci/drivers_probe`,
      ].join(' && '),
    );
    return;
  }
  const group = nameOf(probe, `${folder}/iommu_group`);
  const bits = addressBits(probe, folder);
  const open =
    "intel_iommu=on iommu=pt   # on the kernel's command line; and in the firmware: VT-d, AMD-Vi or SMMU";
  if (group === undefined) {
    findings.error(`${port} is behind no IOMMU`, refused, open);
  } else if (bits !== undefined && bits < PROCESS_ADDRESS_BITS) {
    findings.error(
      `${port} is behind an IOMMU of ${bits} address bits`,
      `${refused}: the device cannot be shown the packet memory at the process's own addresses`,
    );
  } else if (!probe.writable(`/dev/vfio/${group}`)) {
    const mend = `chown $(id -un) /dev/vfio/${group}`;
    findings.error(
      `${port} is of IOMMU group ${group}, which this user may not use`,
      refused,
      mend,
    );
  } else findings.ok(`${port} is DPDK's, by vfio-pci and IOMMU group ${group}`);
}

/** Name of what a link leads to. */
function nameOf(probe: Probe, path: string): string | undefined {
  return probe.link(path)?.split('/').at(-1);
}

/** MGAW of an Intel IOMMU, which alone tells; VT-d specification, Capability Register. */
function addressBits(probe: Probe, folder: string): number | undefined {
  const capabilities = probe.read(`${folder}/iommu/intel-iommu/cap`)?.trim();
  if (capabilities === undefined || !/^[0-9a-f]+$/i.test(capabilities)) return undefined;
  return Number((BigInt(`0x${capabilities}`) >> 16n) & 0x3fn) + 1;
}
