/** One UE's sessions in two UPFs that have a protected N9 between them. */
import { addresses } from './lab.js';

const UE_ADDRESS = '10.60.0.5';
/** The intermediate UPF's N3, and the gNB's end of it. */
export const N3 = '127.0.0.1';
const GNB = '127.0.0.2';
const N9_UPLINK_TEID = 0x00c0ffee;
const N9_DOWNLINK_TEID = 0x00facade;

function tunnel(teid: number, ipv4: string) {
  return { teid, ipv4 };
}

/** Of the UPF between gNB and anchor: in from N3, out by N9 under protection 1, and back. */
export function intermediateSession(name: string) {
  return {
    name,
    pdn_type: 'PDN_TYPE_IPV4',
    pdrs: [
      {
        id: 1,
        precedence: 100,
        pdi: {
          source_interface: 'INTERFACE_ACCESS',
          network_instance: 'n3',
          local_f_teid: { choose_id: 1 },
          ue_address: { ipv4: UE_ADDRESS },
        },
        outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU',
        far_id: 1,
        qer_ids: [1],
      },
      {
        id: 2,
        precedence: 100,
        pdi: {
          source_interface: 'INTERFACE_CORE',
          network_instance: 'n9',
          local_f_teid: { teid: N9_DOWNLINK_TEID, ipv4: addresses.gnb },
          protection_id: 1,
        },
        outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU',
        far_id: 2,
        qer_ids: [1],
      },
    ],
    fars: [
      {
        id: 1,
        forward: {
          destination_interface: 'INTERFACE_CORE',
          network_instance: 'n9',
          outer_header_creation: tunnel(N9_UPLINK_TEID, addresses.upfN3),
          protection_id: 1,
        },
      },
      {
        id: 2,
        forward: {
          destination_interface: 'INTERFACE_ACCESS',
          network_instance: 'n3',
          outer_header_creation: tunnel(0x101, GNB),
        },
      },
    ],
    qers: [{ id: 1, qfi: 9 }],
  };
}

/** Of the UPF between N9 and the data network. */
export function anchorSession(name: string) {
  return {
    name,
    pdn_type: 'PDN_TYPE_IPV4',
    dnn: 'internet',
    pdrs: [
      {
        id: 1,
        precedence: 100,
        pdi: {
          source_interface: 'INTERFACE_ACCESS',
          local_f_teid: { teid: N9_UPLINK_TEID, ipv4: addresses.upfN3 },
          protection_id: 1,
        },
        outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU',
        far_id: 1,
      },
      {
        id: 2,
        precedence: 100,
        pdi: {
          source_interface: 'INTERFACE_CORE',
          network_instance: 'internet',
          ue_address: { ipv4: UE_ADDRESS },
        },
        far_id: 2,
        qer_ids: [1],
      },
    ],
    fars: [
      {
        id: 1,
        forward: { destination_interface: 'INTERFACE_CORE', network_instance: 'internet' },
      },
      {
        id: 2,
        forward: {
          destination_interface: 'INTERFACE_ACCESS',
          outer_header_creation: tunnel(N9_DOWNLINK_TEID, addresses.gnb),
          protection_id: 1,
        },
      },
    ],
    qers: [{ id: 1, qfi: 9 }],
  };
}
