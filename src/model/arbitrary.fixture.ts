/** Random valid sessions for property tests, as messages of the independent codec. */
import fc from 'fast-check';
import type { Message } from './sample.fixture.js';

const u32 = fc.integer({ min: 1, max: 0xffffffff });
const instance = fc.constantFrom('', 'internet', 'ims', 'access', 'n3.example');
const octet = fc.integer({ min: 0, max: 255 });
const unicast4 = fc
  .tuple(fc.integer({ min: 1, max: 223 }), octet, octet, octet)
  .map((octets) => octets.join('.'));
const unicast6 = fc.constantFrom('2001:db8::1', 'fd00:60::5:1', '2001:db8:1:2:3:4:5:6', '::1');
const prefix4 = fc
  .tuple(fc.integer({ min: 0, max: 32 }), unicast4)
  .map(([length, address]) => `${address}/${length}`);
const prefix6 = fc.constantFrom('2001:db8::/32', 'ff02::2/128', '::/0', '2001:db8:9::1');

/** Fields that are left out when undefined, as an encoder would. */
export function present(message: Message): Message {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined));
}

function optional<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined });
}

function record(fields: { [field: string]: fc.Arbitrary<unknown> }): fc.Arbitrary<Message> {
  return fc.record(fields).map((message) => present(message));
}

const ports = fc
  .array(
    fc
      .tuple(fc.integer({ min: 0, max: 65535 }), fc.integer({ min: 0, max: 65535 }))
      .map(([a, b]) => (a === b ? `${a}` : `${Math.min(a, b)}-${Math.max(a, b)}`)),
    { minLength: 1, maxLength: 8 },
  )
  .map((list) => ` ${list.join(',')}`);
const maybePorts = fc.oneof(fc.constant(''), ports);

/** Valid flow descriptions. */
export const flowDescription: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('ip', 'tcp', 'udp', 'sctp', '6', '17', '132'),
      fc.oneof(prefix4, unicast4, fc.constant('any')),
      maybePorts,
      fc.constantFrom('any', 'assigned', '10.0.0.0/8'),
      maybePorts,
    )
    .map(([protocol, from, a, to, b]) => `permit out ${protocol} from ${from}${a} to ${to}${b}`),
  fc
    .tuple(fc.constantFrom('ip', 'icmp', 'ipv6-icmp', 'esp', 'gre', '0', '255'), prefix6)
    .map(([protocol, from]) => `permit out ${protocol} from ${from} to assigned`),
);

const filter = record({
  flow_description: flowDescription,
  tos: optional(octet),
  spi: optional(u32),
  flow_label: optional(fc.integer({ min: 0, max: 0xfffff })),
}).chain((message) =>
  message.tos === undefined
    ? fc.constant(message)
    : optional(octet).map((mask) => present({ ...message, tos_mask: mask })),
);

const localFTeid = fc.oneof(
  record({ choose_id: octet }),
  record({ teid: u32, ipv4: optional(unicast4), ipv6: optional(unicast6) }),
);

function ids(count: number): fc.Arbitrary<number[]> {
  return fc.uniqueArray(u32, { minLength: count, maxLength: count });
}

function some(of: readonly number[]): fc.Arbitrary<number[] | undefined> {
  if (of.length === 0) return fc.constant(undefined);
  return fc.option(fc.shuffledSubarray([...of], { minLength: 1 }), { nil: undefined });
}

const rate = fc.integer({ min: 0, max: 400_000_000 }).map(String);
const qer = (id: number) =>
  record({
    id: fc.constant(id),
    uplink_gate_closed: optional(fc.constant(true)),
    downlink_gate_closed: optional(fc.constant(true)),
    uplink_mbr_kbps: optional(rate),
    downlink_mbr_kbps: optional(rate),
    qfi: optional(fc.integer({ min: 1, max: 63 })),
    rqi: optional(fc.constant(true)),
    ppi: optional(fc.integer({ min: 0, max: 7 })),
  });

const bytes = fc.bigInt({ min: 1n, max: 0xffffffffffffffffn }).map(String);
const volume = record({ total_bytes: bytes, uplink_bytes: optional(bytes), downlink_bytes: bytes });
const duration = fc.integer({ min: 1, max: 49 * 86_400_000 }).map((ms) => present(seconds(ms)));

function seconds(ms: number): Message {
  const whole = Math.floor(ms / 1000);
  const nanos = (ms % 1000) * 1_000_000;
  return {
    seconds: whole === 0 ? undefined : String(whole),
    nanos: nanos === 0 ? undefined : nanos,
  };
}

const monitor = record({
  volume_threshold: optional(volume),
  volume_quota: optional(volume),
  time_threshold: optional(duration),
  time_quota: optional(duration),
});
const monitors = fc
  .tuple(
    fc.uniqueArray(u32, { minLength: 1, maxLength: 3 }),
    fc.array(monitor, { minLength: 3, maxLength: 3 }),
  )
  .map(([times, limits]) =>
    times
      .sort((a, b) => a - b)
      .map((time, index) => ({ time: { seconds: String(time) }, ...limits[index] })),
  );

function urr(id: number, urrs: readonly number[], fars: readonly number[]): fc.Arbitrary<Message> {
  const traffic = fc.oneof(
    record({ inactivity: optional(duration) }),
    record({
      inactivity: duration,
      report_stop: fc.constant(true),
      report_envelope: optional(fc.constant(true)),
    }),
  );
  const more = record({
    quota_holding_time: optional(duration),
    dropped_downlink_threshold: optional(record({ packets: optional(bytes), bytes })),
    monitoring_times: fc.option(monitors, { nil: undefined }),
    report_end_marker: optional(fc.constant(true)),
    instant_start: optional(fc.constant(true)),
    paused: optional(fc.constant(true)),
    count_packets: optional(fc.constant(true)),
  });
  const rest = record({
    id: fc.constant(id),
    measure_volume: fc.constant(true),
    measure_duration: fc.constant(true),
    measure_before_policing: optional(fc.constant(true)),
    volume_threshold: optional(volume),
    volume_quota: optional(volume),
    time_threshold: optional(duration),
    time_quota: optional(duration),
    period: optional(duration),
    linked_urr_ids: some(urrs.filter((other) => other !== id)),
    quota_far_id: optional(fc.constantFrom(...fars)),
    report_start: optional(fc.constant(true)),
    quota_grant: optional(fc.integer({ min: 1, max: 0xff_ffff })),
  });
  const validity = record({ volume_quota: volume, quota_validity_time: optional(duration) });
  return fc
    .tuple(rest, traffic, optional(more), optional(validity))
    .map((parts) => Object.assign({}, ...parts));
}

const side = fc.constantFrom('INTERFACE_ACCESS', 'INTERFACE_CORE', 'INTERFACE_N6_LAN');
const outerHeader = fc.oneof(
  record({ teid: u32, ipv4: unicast4, udp_port: optional(fc.integer({ min: 1, max: 65535 })) }),
  record({ teid: u32, ipv6: unicast6 }),
);
const forward = record({
  destination_interface: side,
  network_instance: instance.map((text) => (text === '' ? undefined : text)),
  outer_header_creation: optional(outerHeader),
  dscp: optional(fc.integer({ min: 0, max: 63 })),
  protection_id: optional(fc.integer({ min: 1, max: 16_384 })),
});

function far(id: number, bars: readonly number[]): fc.Arbitrary<Message> {
  const bar = bars.length === 0 ? fc.constant(undefined) : optional(fc.constantFrom(...bars));
  const buffer = record({ notify: optional(fc.constant(true)), bar_id: bar });
  return fc
    .tuple(
      fc.oneof(record({ forward }), record({ drop: fc.constant({}) }), record({ buffer })),
      fc.option(fc.array(forward, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    )
    .map(([action, duplicates]) => present({ id, ...action, duplicates }));
}

interface Ids {
  readonly fars: readonly number[];
  readonly qers: readonly number[];
  readonly urrs: readonly number[];
  readonly ue: Message;
}

function pdr(id: number, known: Ids): fc.Arbitrary<Message> {
  const pdi = fc
    .tuple(
      record({ source_interface: side, local_f_teid: localFTeid }),
      record({
        network_instance: instance.map((text) => (text === '' ? undefined : text)),
        ue_address: fc.constantFrom(undefined, known.ue),
        sdf_filters: fc.option(fc.array(filter, { minLength: 1, maxLength: 4 }), {
          nil: undefined,
        }),
        qfis: fc.option(
          fc
            .uniqueArray(fc.integer({ min: 1, max: 63 }), { minLength: 1, maxLength: 5 })
            .map((list) => list.sort((a, b) => a - b)),
          { nil: undefined },
        ),
        framed_routes: fc.option(fc.array(prefix4, { minLength: 1, maxLength: 3 }), {
          nil: undefined,
        }),
      }),
    )
    .map(([ends, rest]) => ({ ...ends, ...rest }));
  return record({
    id: fc.constant(id),
    precedence: u32,
    pdi,
    outer_header_removal: fc.constantFrom(undefined, 'OUTER_HEADER_REMOVAL_GTPU'),
    far_id: fc.constantFrom(...known.fars),
    qer_ids: some(known.qers),
    urr_ids: some(known.urrs),
  });
}

const ueAddress = fc.constantFrom<Message>(
  { ipv4: 'auto' },
  { ipv4: '10.60.0.7', ipv6_prefix: 'auto' },
  { ipv6_prefix: '2001:db8:0:7::/64' },
);

/** A valid session without outputs; every field is in its normal form. */
export const session: fc.Arbitrary<Message> = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 1, max: 4 }).chain(ids),
    fc.nat(4).chain(ids),
    fc.nat(4).chain(ids),
    fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 2 }),
    ueAddress,
  )
  .chain(([pdrs, fars, qers, urrs, bars, ue]) => {
    const known = { fars, qers, urrs, ue };
    return record({
      name: fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/),
      pdn_type: fc.constantFrom(undefined, 'PDN_TYPE_IPV4V6'),
      dnn: fc.constantFrom(undefined, 'internet', 'ims.mnc001.mcc001.gprs'),
      pdrs: fc.tuple(...pdrs.map((id) => pdr(id, known))),
      fars: fc.tuple(...fars.map((id) => far(id, bars))),
      qers: list(qers.map(qer)),
      urrs: list(urrs.map((id) => urr(id, urrs, fars))),
      bars: list(bars.map((id) => record({ id: fc.constant(id), packet_limit: optional(u32) }))),
    });
  });

function list(of: fc.Arbitrary<Message>[]): fc.Arbitrary<Message[] | undefined> {
  return of.length === 0 ? fc.constant(undefined) : fc.tuple(...of);
}
