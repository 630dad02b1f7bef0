/** For tests and benches: the independent codec, and a session of the usual shape. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';

/** Descriptors of the proto file. */
export const protoTypes = loadSync(protoFile(), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: false,
});

export type Message = { [field: string]: unknown };

/** Encodes a message by protobufjs. */
export function encodeMessage(type: string, message: Message): Buffer {
  return codec(type).serialize(message);
}

/** Decodes a message by protobufjs: fields with proto names, longs and enums as strings. */
export function decodeMessage(type: string, bytes: Uint8Array): Message {
  return codec(type).deserialize(Buffer.from(bytes));
}

/** The API's file, from the sources as well as from dist/. */
function protoFile(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return join(folder, 'proto', 'sluice', 'v1', 'sluice.proto');
}

function codec(type: string): MessageTypeDefinition<Message, Message> {
  return protoTypes[`sluice.v1.${type}`] as MessageTypeDefinition<Message, Message>;
}

const FLOWS = [
  'permit out udp from 203.0.113.0/24 5000-5010 to assigned',
  'permit out tcp from 198.51.100.0/24 443 to assigned',
  'permit out udp from 192.0.2.0/24 53,853 to assigned',
  'permit out 17 from 198.18.0.0/15 1024-65535 to assigned',
];

function pdr(id: number, uplink: boolean, flow: string): Message {
  const ends = uplink
    ? { source_interface: 'INTERFACE_ACCESS', local_f_teid: { choose_id: 5 } }
    : { source_interface: 'INTERFACE_CORE' };
  return {
    id,
    precedence: 100 + id,
    pdi: {
      ...ends,
      network_instance: uplink ? 'access' : 'internet',
      ue_address: { ipv4: 'auto' },
      sdf_filters: [{ flow_description: flow }],
    },
    ...(uplink ? { outer_header_removal: 'OUTER_HEADER_REMOVAL_GTPU' } : {}),
    far_id: uplink ? 1 : 2,
    qer_ids: [1, 2],
    urr_ids: [1],
  };
}

/** 4 PDRs with an SDF filter each, 2 FARs, 2 QERs (flow and AMBR), 1 URR. */
export function sampleSession(name = 'imsi-001010000000001-5'): Message {
  const tunnel = { teid: 0x01020304, ipv4: '10.20.30.40' };
  return {
    name,
    pdn_type: 'PDN_TYPE_IPV4',
    dnn: 'internet',
    pdrs: FLOWS.map((flow, index) => pdr(index + 1, index < 2, flow)),
    fars: [
      { id: 1, forward: { destination_interface: 'INTERFACE_CORE', network_instance: 'internet' } },
      {
        id: 2,
        forward: {
          destination_interface: 'INTERFACE_ACCESS',
          network_instance: 'access',
          outer_header_creation: tunnel,
        },
      },
    ],
    qers: [
      { id: 1, qfi: 9, uplink_mbr_kbps: '50000', downlink_mbr_kbps: '100000' },
      { id: 2, uplink_mbr_kbps: '1000000', downlink_mbr_kbps: '2000000', shared_bucket: 'ambr' },
    ],
    urrs: [{ id: 1, measure_volume: true, volume_threshold: { total_bytes: '104857600' } }],
  };
}
