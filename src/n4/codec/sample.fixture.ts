/** A session of usual size as an SMF asks for it, for tests and benches. */
import { type Elements, encodeMessage } from './describe.js';

/** 2 PDRs, 2 FARs, 1 QER, 1 URR. */
export const establishmentElements: Elements = {
  'Node ID': { type: 'IPv4', ipv4: '10.0.0.1' },
  'F-SEID': { flags: ['V4'], seid: '0x0000000000000f26', ipv4: '10.0.0.1' },
  'Create PDR': [
    {
      'PDR ID': 1,
      Precedence: 200,
      PDI: {
        'Source Interface': 'Access',
        'F-TEID': { flags: ['V4', 'CH'] },
        'Network Instance': 'access',
        'UE IP Address': [{ flags: ['V4'], ipv4: '10.60.0.7' }],
        'SDF Filter': [{ flags: ['FD'], flowDescription: 'permit out ip from any to assigned' }],
        QFI: [9],
      },
      'Outer Header Removal': { description: 'GTP-U/UDP/IPv4' },
      'FAR ID': 1,
      'URR ID': [1],
      'QER ID': [1],
    },
    {
      'PDR ID': 2,
      Precedence: 200,
      PDI: {
        'Source Interface': 'Core',
        'Network Instance': 'internet',
        'UE IP Address': [{ flags: ['V4', 'S/D'], ipv4: '10.60.0.7' }],
      },
      'FAR ID': 2,
      'URR ID': [1],
      'QER ID': [1],
    },
  ],
  'Create FAR': [
    {
      'FAR ID': 1,
      'Apply Action': ['FORW'],
      'Forwarding Parameters': {
        'Destination Interface': 'Core',
        'Network Instance': 'internet',
      },
    },
    {
      'FAR ID': 2,
      'Apply Action': ['FORW'],
      'Forwarding Parameters': {
        'Destination Interface': 'Access',
        'Network Instance': 'access',
        'Outer Header Creation': { flags: ['GTPU4'], teid: '0x00005678', ipv4: '10.0.0.9' },
      },
    },
  ],
  'Create URR': [
    {
      'URR ID': 1,
      'Measurement Method': ['VOLUM'],
      'Reporting Triggers': ['VOLTH'],
      'Volume Threshold': { flags: ['TOVOL'], total: 104_857_600 },
    },
  ],
  'Create QER': [
    {
      'QER ID': 1,
      'Gate Status': { downlink: 'open', uplink: 'open' },
      MBR: { uplinkKbps: 1_000_000, downlinkKbps: 1_000_000 },
      QFI: 9,
    },
  ],
  'PDN Type': 'IPv4',
};

export function establishmentRequest(elements: Elements = establishmentElements): Uint8Array {
  return encodeMessage({
    message: 'Session Establishment Request',
    seid: '0x0000000000000000',
    sequence: 1,
    elements,
  });
}
