import { describe, expect, it } from 'vitest';
import { Refusal } from '../base/errors.js';
import { RecordBuffer } from './record.js';
import { encodeMessage, type Message, sampleSession } from './sample.fixture.js';
import { SessionDecoder } from './session-decode.js';
import { RecordValidator } from './validate.js';

const refusal = new Refusal();
const record = new RecordBuffer();
const decoder = new SessionDecoder(record, refusal);
const validator = new RecordValidator(refusal);

// biome-ignore lint/suspicious/noExplicitAny: tests reach anywhere into messages
type Loose = any;

/** The sample after a change; true, or the path of the refusal. */
function outcome(change: (session: Loose) => void, nameOptional = false): true | string {
  const message: Message = sampleSession();
  change(message);
  const bytes = encodeMessage('Session', message);
  if (!decoder.decode(bytes, 0, bytes.length)) return refusal.field;
  return validator.validate(record.words, 0, nameOptional) || refusal.field;
}

const pdi = (s: Loose, index = 0) => s.pdrs[index].pdi;
const forward = (s: Loose, index = 1) => s.fars[index].forward;
const core = { source_interface: 'INTERFACE_CORE' };
const many = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, index) => make(index));

const REFUSED: readonly [string, string, (s: Loose) => void][] = [
  ['no name', 'session.name', (s) => delete s.name],
  ['a long name', 'session.name', (s) => (s.name = 'x'.repeat(129))],
  ['a very long name', 'session.name', (s) => (s.name = 'x'.repeat(70_000))],
  ['a name with a slash', 'session.name', (s) => (s.name = 'a/b')],
  ['a name beyond ASCII', 'session.name', (s) => (s.name = 'é')],
  ['a DNN with a space', 'session.dnn', (s) => (s.dnn = 'a b')],
  ['a long DNN', 'session.dnn', (s) => (s.dnn = 'x'.repeat(101))],
  ['non-IP', 'session.pdn_type', (s) => (s.pdn_type = 4)],
  ['Ethernet', 'session.pdn_type', (s) => (s.pdn_type = 5)],
  ['an unknown PDN type', 'session.pdn_type', (s) => (s.pdn_type = 6)],
  ['IPv6 with an IPv4 address', 'session.pdrs[0].pdi.ue_address.ipv4', (s) => (s.pdn_type = 2)],
  ['no PDR', 'session.pdrs', (s) => (s.pdrs = [])],
  ['too many PDRs', 'session.pdrs', (s) => (s.pdrs = many(65, (id) => ({ id: id + 1 })))],
  ['PDR ID 0', 'session.pdrs[1].id', (s) => (s.pdrs[1].id = 0)],
  ['PDR ID 65536', 'session.pdrs[1].id', (s) => (s.pdrs[1].id = 65536)],
  ['a PDR ID twice', 'session.pdrs[3].id', (s) => (s.pdrs[3].id = 1)],
  [
    'a FAR ID twice',
    'session.fars[1].id',
    (s) => (s.fars[1].id = s.pdrs[2].far_id = s.pdrs[3].far_id = 1),
  ],
  [
    'a QER ID twice',
    'session.qers[1].id',
    (s) => {
      s.qers[1].id = 1;
      for (const pdr of s.pdrs) pdr.qer_ids = [1];
    },
  ],
  [
    'URR ID 0',
    'session.urrs[0].id',
    (s) => {
      s.urrs[0].id = 0;
      for (const pdr of s.pdrs) pdr.urr_ids = [];
    },
  ],
  ['BAR ID 256', 'session.bars[0].id', (s) => (s.bars = [{ id: 256 }])],
  ['a missing FAR', 'session.pdrs[2].far_id', (s) => (s.pdrs[2].far_id = 9)],
  ['a missing QER', 'session.pdrs[2].qer_ids[1]', (s) => (s.pdrs[2].qer_ids = [1, 9])],
  ['a QER twice', 'session.pdrs[2].qer_ids[1]', (s) => (s.pdrs[2].qer_ids = [1, 1])],
  ['a missing URR', 'session.pdrs[2].urr_ids[0]', (s) => (s.pdrs[2].urr_ids = [9])],
  [
    'a missing BAR',
    'session.fars[0].buffer.bar_id',
    (s) => (s.fars[0] = { id: 1, buffer: { bar_id: 9 } }),
  ],
  [
    'a missing linked URR',
    'session.urrs[0].linked_urr_ids[0]',
    (s) => (s.urrs[0].linked_urr_ids = [9]),
  ],
  [
    'a URR linked to itself',
    'session.urrs[0].linked_urr_ids[0]',
    (s) => (s.urrs[0].linked_urr_ids = [1]),
  ],
  ['a missing quota FAR', 'session.urrs[0].quota_far_id', (s) => (s.urrs[0].quota_far_id = 9)],
  [
    'no source interface',
    'session.pdrs[2].pdi.source_interface',
    (s) => delete pdi(s, 2).source_interface,
  ],
  [
    'an unknown source interface',
    'session.pdrs[2].pdi.source_interface',
    (s) => (pdi(s, 2).source_interface = 5),
  ],
  ['no PDI', 'session.pdrs[2].pdi.source_interface', (s) => delete s.pdrs[2].pdi],
  [
    'an unknown removal',
    'session.pdrs[0].outer_header_removal',
    (s) => (s.pdrs[0].outer_header_removal = 3),
  ],
  ['access without F-TEID', 'session.pdrs[0].pdi.local_f_teid', (s) => delete pdi(s).local_f_teid],
  ['core without key', 'session.pdrs[2].pdi.ue_address', (s) => delete pdi(s, 2).ue_address],
  ['TEID 0', 'session.pdrs[0].pdi.local_f_teid.teid', (s) => (pdi(s).local_f_teid = { teid: 0 })],
  ['an empty F-TEID', 'session.pdrs[0].pdi.local_f_teid.teid', (s) => (pdi(s).local_f_teid = {})],
  [
    'choose ID 256',
    'session.pdrs[0].pdi.local_f_teid.choose_id',
    (s) => (pdi(s).local_f_teid = { choose_id: 256 }),
  ],
  [
    'a bad local address',
    'session.pdrs[0].pdi.local_f_teid.ipv4',
    (s) => (pdi(s).local_f_teid = { teid: 1, ipv4: '1.2.3' }),
  ],
  [
    'a multicast local address',
    'session.pdrs[0].pdi.local_f_teid.ipv6',
    (s) => (pdi(s).local_f_teid = { teid: 1, ipv6: 'ff02::1' }),
  ],
  [
    'a bad UE address',
    'session.pdrs[0].pdi.ue_address.ipv4',
    (s) => (pdi(s).ue_address = { ipv4: 'Auto' }),
  ],
  [
    'UE address 0.0.0.0',
    'session.pdrs[0].pdi.ue_address.ipv4',
    (s) => (pdi(s).ue_address = { ipv4: '0.0.0.0' }),
  ],
  [
    'a loopback UE address',
    'session.pdrs[0].pdi.ue_address.ipv4',
    (s) => (pdi(s).ue_address = { ipv4: '127.0.0.1' }),
  ],
  [
    'two UE addresses',
    'session.pdrs[1].pdi.ue_address.ipv4',
    (s) => {
      pdi(s).ue_address = { ipv4: '10.0.0.1' };
      pdi(s, 1).ue_address = { ipv4: '10.0.0.2' };
    },
  ],
  [
    'a /56',
    'session.pdrs[0].pdi.ue_address.ipv6_prefix',
    (s) => (pdi(s).ue_address = { ipv6_prefix: '2001:db8::/56' }),
  ],
  [
    'a prefix without length',
    'session.pdrs[0].pdi.ue_address.ipv6_prefix',
    (s) => (pdi(s).ue_address = { ipv6_prefix: '2001:db8::' }),
  ],
  [
    'IPv4 with a prefix',
    'session.pdrs[0].pdi.ue_address.ipv6_prefix',
    (s) => (pdi(s).ue_address = { ipv6_prefix: 'auto' }),
  ],
  [
    'a link-local prefix',
    'session.pdrs[0].pdi.ue_address.ipv6_prefix',
    (s) => {
      s.pdn_type = 3;
      pdi(s).ue_address = { ipv6_prefix: 'fe80::/64' };
    },
  ],
  [
    'an instance with a space',
    'session.pdrs[1].pdi.network_instance',
    (s) => (pdi(s, 1).network_instance = 'a b'),
  ],
  [
    'a bad flow',
    'session.pdrs[2].pdi.sdf_filters[0].flow_description',
    (s) => (pdi(s, 2).sdf_filters = [{ flow_description: 'permit out uid' }]),
  ],
  [
    '64 kB of flow',
    'session.pdrs[2].pdi.sdf_filters[0].flow_description',
    (s) => (pdi(s, 2).sdf_filters = [{ flow_description: 'permit '.repeat(9000) }]),
  ],
  [
    'an empty filter',
    'session.pdrs[2].pdi.sdf_filters[1]',
    (s) => (pdi(s, 2).sdf_filters = [{ spi: 1 }, {}]),
  ],
  [
    'ToS 256',
    'session.pdrs[2].pdi.sdf_filters[0].tos',
    (s) => (pdi(s, 2).sdf_filters = [{ tos: 256 }]),
  ],
  [
    'a mask without ToS',
    'session.pdrs[2].pdi.sdf_filters[0].tos_mask',
    (s) => (pdi(s, 2).sdf_filters = [{ tos_mask: 1 }]),
  ],
  [
    'a wide flow label',
    'session.pdrs[2].pdi.sdf_filters[0].flow_label',
    (s) => (pdi(s, 2).sdf_filters = [{ flow_label: 1048576 }]),
  ],
  ['QFI 64', 'session.pdrs[2].pdi.qfis', (s) => (pdi(s, 2).qfis = [9, 64])],
  ['QFI 0', 'session.pdrs[2].pdi.qfis', (s) => (pdi(s, 2).qfis = [0])],
  [
    'a bad route',
    'session.pdrs[2].pdi.framed_routes[1]',
    (s) => (pdi(s, 2).framed_routes = ['10.0.0.0/8', '10.0.0.0/33']),
  ],
  [
    'too many routes',
    'session.pdrs[2].pdi.framed_routes',
    (s) => (pdi(s, 2).framed_routes = many(65, () => '10.0.0.0/8')),
  ],
  ['no FAR', 'session.pdrs[0].far_id', (s) => (s.fars = [])],
  ['no action', 'session.fars[0].action', (s) => (s.fars[0] = { id: 1 })],
  [
    'no destination',
    'session.fars[0].forward.destination_interface',
    (s) => (s.fars[0] = { id: 1, forward: {} }),
  ],
  ['DSCP 64', 'session.fars[1].forward.dscp', (s) => (forward(s).dscp = 64)],
  [
    'two outer addresses',
    'session.fars[1].forward.outer_header_creation',
    (s) => (forward(s).outer_header_creation = { teid: 1, ipv4: '1.1.1.1', ipv6: '2001:db8::1' }),
  ],
  [
    'no outer address',
    'session.fars[1].forward.outer_header_creation',
    (s) => (forward(s).outer_header_creation = { teid: 1 }),
  ],
  [
    'outer TEID 0',
    'session.fars[1].forward.outer_header_creation.teid',
    (s) => (forward(s).outer_header_creation = { ipv4: '1.1.1.1' }),
  ],
  [
    'a multicast peer',
    'session.fars[1].forward.outer_header_creation.ipv4',
    (s) => (forward(s).outer_header_creation = { teid: 1, ipv4: '224.0.0.1' }),
  ],
  [
    'a bad peer',
    'session.fars[1].forward.outer_header_creation.ipv6',
    (s) => (forward(s).outer_header_creation = { teid: 1, ipv6: '::1::' }),
  ],
  [
    'an unspecified peer',
    'session.fars[1].forward.outer_header_creation.ipv6',
    (s) => (forward(s).outer_header_creation = { teid: 1, ipv6: '::' }),
  ],
  [
    'port 65536',
    'session.fars[1].forward.outer_header_creation.udp_port',
    (s) => (forward(s).outer_header_creation.udp_port = 65536),
  ],
  [
    'a bad duplicate',
    'session.fars[1].duplicates[1].outer_header_creation.ipv4',
    (s) =>
      (s.fars[1].duplicates = [core, core].map((_, i) => ({
        destination_interface: 2,
        outer_header_creation: { teid: 1, ipv4: i ? '::1' : '1.1.1.1' },
      }))),
  ],
  [
    'too many duplicates',
    'session.fars[1].duplicates',
    (s) => (s.fars[1].duplicates = many(9, () => ({ destination_interface: 2 }))),
  ],
  ['a QER with QFI 64', 'session.qers[0].qfi', (s) => (s.qers[0].qfi = 64)],
  ['a QER with QFI 0', 'session.qers[0].qfi', (s) => (s.qers[0].qfi = 0)],
  ['a QER with QFI 300', 'session.qers[0].qfi', (s) => (s.qers[0].qfi = 300)],
  ['PPI 8', 'session.qers[0].ppi', (s) => (s.qers[0].ppi = 8)],
  [
    'an MBR above 400 Gbit/s',
    'session.qers[0].downlink_mbr_kbps',
    (s) => (s.qers[0].downlink_mbr_kbps = '400000001'),
  ],
  [
    'a GBR above the MBR',
    'session.qers[0].uplink_gbr_kbps',
    (s) => (s.qers[0].uplink_gbr_kbps = '50001'),
  ],
  [
    'one bucket, two rates',
    'session.qers[1].shared_bucket',
    (s) => (s.qers[0].shared_bucket = 'ambr'),
  ],
  [
    'a volume threshold of 0',
    'session.urrs[0].volume_threshold.uplink_bytes',
    (s) => (s.urrs[0].volume_threshold = { uplink_bytes: '0' }),
  ],
  [
    'a threshold that is not measured',
    'session.urrs[0].volume_threshold',
    (s) => delete s.urrs[0].measure_volume,
  ],
  [
    'a time that is not measured',
    'session.urrs[0].time_quota',
    (s) => (s.urrs[0].time_quota = { seconds: 5 }),
  ],
  ['a period of 0', 'session.urrs[0].period', (s) => (s.urrs[0].period = {})],
  ['a negative period', 'session.urrs[0].period', (s) => (s.urrs[0].period = { seconds: -1 })],
  [
    '50 days',
    'session.urrs[0].inactivity',
    (s) => (s.urrs[0].inactivity = { seconds: 50 * 86400 }),
  ],
  [
    'a start of traffic that nothing measures',
    'session.urrs[0].report_start',
    (s) => (s.urrs[0] = { id: 1, report_start: true }),
  ],
  [
    'a stop of traffic without a time',
    'session.urrs[0].report_stop',
    (s) => (s.urrs[0].report_stop = true),
  ],
  [
    'a grant of more than 24 bits',
    'session.urrs[0].quota_grant',
    (s) => (s.urrs[0].quota_grant = 2 ** 24),
  ],
  [
    'a grant of 32 bits',
    'session.urrs[0].quota_grant',
    (s) => (s.urrs[0].quota_grant = 2 ** 32 - 1),
  ],
  ['bad nanoseconds', 'session.urrs[0].period', (s) => (s.urrs[0].period = { nanos: 1e9 })],
  [
    'a negative delay',
    'session.bars[0].notification_delay',
    (s) => (s.bars = [{ id: 1, notification_delay: { nanos: -1 } }]),
  ],
];

const ACCEPTED: readonly [string, (s: Loose) => void][] = [
  ['the sample', () => undefined],
  ['no PDN type', (s) => delete s.pdn_type],
  [
    'one explicit TEID twice',
    (s) => {
      pdi(s).local_f_teid = pdi(s, 1).local_f_teid = { teid: 7, ipv4: '127.0.0.1' };
    },
  ],
  ['an address and "auto"', (s) => (pdi(s, 3).ue_address = { ipv4: '10.60.0.9' })],
  [
    'an N9 tunnel from the core',
    (s) => (s.pdrs[2].pdi = { ...core, local_f_teid: { choose_id: 1 } }),
  ],
  ['framed routes only', (s) => (s.pdrs[2].pdi = { ...core, framed_routes: ['198.51.100.0/24'] })],
  ['access without a tunnel yet', (s) => delete forward(s).outer_header_creation],
  ['buffering without BAR', (s) => (s.fars[1] = { id: 2, buffer: { notify: true } })],
  ['an MBR of 0', (s) => (s.qers[0].uplink_mbr_kbps = '0')],
  ['a quota of 0', (s) => (s.urrs[0].volume_quota = { total_bytes: '0' })],
  [
    'equal rates in one bucket',
    (s) => {
      s.qers[0] = { ...s.qers[1], id: 1 };
    },
  ],
  ['400 Gbit/s', (s) => (s.qers[0].downlink_mbr_kbps = '400000000')],
];

describe('validation', () => {
  it.each(REFUSED)('refuses %s at %s', (_, field, change) => {
    expect(outcome(change)).toBe(field);
    expect(refusal.message).toMatch(/^(must|is) .{5,}[^.]$/);
    const unimplemented = field === 'session.pdn_type' && refusal.code === 'unimplemented';
    if (!unimplemented) expect(['invalid_argument', 'resource_exhausted']).toContain(refusal.code);
  });

  it.each(ACCEPTED)('accepts %s', (_, change) => {
    expect(outcome(change)).toBe(true);
  });

  it('says which types are unimplemented', () => {
    outcome((s) => (s.pdn_type = 'PDN_TYPE_ETHERNET'));
    expect(refusal.code).toBe('unimplemented');
  });

  it('names table and position of the rule at fault', () => {
    outcome((s) => (s.qers[1].ppi = 9));
    expect(refusal).toMatchObject({ table: 2, index: 1 });
  });

  it('lets an update leave out the name', () => {
    expect(outcome((s) => delete s.name, true)).toBe(true);
    expect(outcome((s) => (s.name = '/'), true)).toBe('session.name');
  });
});
