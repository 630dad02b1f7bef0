import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../base/errors.js';
import { session } from './arbitrary.fixture.js';
import { RecordBuffer } from './record.js';
import * as layout from './record-layout.js';
import { sameContent, sameQer, sameUrr } from './same-content.js';
import { encodeMessage, type Message, sampleSession } from './sample.fixture.js';
import { SessionDecoder } from './session-decode.js';

// biome-ignore lint/suspicious/noExplicitAny: tests reach anywhere into messages
type Loose = any;

const refusal = new Refusal();
const scratch = new RecordBuffer();
const decoder = new SessionDecoder(scratch, refusal);

function recordOf(message: Message): Uint32Array {
  const bytes = encodeMessage('Session', message);
  const decoded = decoder.decode(bytes, 0, bytes.length);
  expect([decoded, refusal.field]).toEqual([true, refusal.field]);
  return scratch.words.slice(0, scratch.top);
}

function changed(change: (session: Loose) => void): Uint32Array {
  const message = sampleSession();
  change(message);
  return recordOf(message);
}
const sample = recordOf(sampleSession());

/** The sample as a control plane function would have made it of other bytes. */
function shadowed(bytes: number[]): Uint32Array {
  recordOf(sampleSession());
  scratch.setText(layout.HEADER_SHADOW, Uint8Array.from(bytes));
  scratch.finish();
  return scratch.words.slice(0, scratch.top);
}

/** As the engine would leave the sample: outputs and choices filled in, a text appended. */
function chosen(): Uint32Array {
  recordOf(sampleSession());
  const words = scratch.words;
  words[layout.HEADER_SEID_LOW] = 9;
  words[layout.HEADER_REVISION_LOW] = 4;
  words[layout.HEADER_SESSION_INDEX] = 5;
  words[layout.HEADER_INCARNATION] = 6;
  words[layout.HEADER_UE_IPV4] = 0x0a3c0001;
  const at = layout.HEADER_WORDS;
  words[at + layout.PDR_TEID] = 1;
  words[at + layout.PDR_LOCAL_IPV4] = 2;
  words[at + layout.PDR_F_TEID] = words[at + layout.PDR_F_TEID]! | layout.F_TEID_IPV4;
  scratch.setText(layout.HEADER_OWNER, Buffer.from('grpc:x'));
  scratch.finish();
  return scratch.words.slice(0, scratch.top);
}

describe('sameContent', () => {
  it('compares what a control plane function sent', () => {
    expect(sameContent(shadowed([1, 2, 3]), 0, shadowed([1, 2, 3]), 0)).toBe(true);
    expect(sameContent(shadowed([1, 2, 3]), 0, shadowed([1, 2, 4]), 0)).toBe(false);
    expect(sameContent(shadowed([1, 2, 3]), 0, sample, 0)).toBe(false);
  });

  it('is true of equal requests wherever they lie', () => {
    fc.assert(
      fc.property(session, (message) => {
        const one = recordOf(message);
        const slab = new Uint32Array(one.length + 20);
        slab.set(one, 11);
        expect(sameContent(one, 0, slab, 11)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('ignores outputs and what was chosen here', () => {
    expect(sameContent(sample, 0, chosen(), 0)).toBe(true);
    expect(sameContent(chosen(), 0, sample, 0)).toBe(true);
  });

  it('takes the address that "auto" became for the same', () => {
    const explicit = changed((s) => {
      for (const pdr of s.pdrs) pdr.pdi.ue_address = { ipv4: '10.60.0.1' };
    });
    expect(sameContent(chosen(), 0, explicit, 0)).toBe(true);
    expect(sameContent(sample, 0, explicit, 0)).toBe(false);
  });

  it('takes a local address that was filled in here for an absent one, and for itself', () => {
    const asked = changed((s) => (s.pdrs[0].pdi.local_f_teid = { teid: 7 }));
    const filled = asked.slice();
    const at = layout.HEADER_WORDS;
    filled[at + layout.PDR_LOCAL_IPV4] = 0x7f000001;
    filled[at + layout.PDR_F_TEID] =
      filled[at + layout.PDR_F_TEID]! | layout.F_TEID_IPV4 | layout.F_TEID_ADDRESS_HERE;
    const given = (addresses: object) =>
      changed((s) => (s.pdrs[0].pdi.local_f_teid = { teid: 7, ...addresses }));
    const same = (one: Uint32Array, other: Uint32Array) => [
      sameContent(one, 0, other, 0),
      sameContent(other, 0, one, 0),
    ];
    expect(same(asked, filled)).toEqual([true, true]);
    expect(same(given({ ipv4: '127.0.0.1' }), filled)).toEqual([true, true]);
    expect(same(given({ ipv4: '127.0.0.2' }), filled)).toEqual([false, false]);
    expect(same(given({ ipv6: '::7' }), filled)).toEqual([false, false]);
    expect(same(given({ ipv4: '127.0.0.1', ipv6: '::7' }), filled)).toEqual([false, false]);
    expect(same(given({ ipv4: '127.0.0.1' }), asked)).toEqual([false, false]);
  });

  it.each<[string, (s: Loose) => void]>([
    ['name', (s) => (s.name = 'other')],
    ['dnn', (s) => (s.dnn = 'ims')],
    ['pdn type', (s) => delete s.pdn_type],
    ['precedence', (s) => (s.pdrs[1].precedence = 1)],
    ['source', (s) => (s.pdrs[1].pdi.source_interface = 'INTERFACE_N6_LAN')],
    ['instance', (s) => (s.pdrs[1].pdi.network_instance = 'else')],
    ['choose ID', (s) => (s.pdrs[1].pdi.local_f_teid = { choose_id: 6 })],
    ['TEID', (s) => (s.pdrs[1].pdi.local_f_teid = { teid: 6 })],
    ['UE address', (s) => delete s.pdrs[1].pdi.ue_address],
    ['UE family', (s) => (s.pdrs[1].pdi.ue_address = { ipv6_prefix: 'auto' })],
    [
      'flow',
      (s) => (s.pdrs[1].pdi.sdf_filters[0].flow_description = 'permit out 6 from any to any'),
    ],
    ['ToS', (s) => (s.pdrs[1].pdi.sdf_filters[0].tos = 4)],
    ['filters', (s) => s.pdrs[1].pdi.sdf_filters.push({ spi: 1 })],
    ['QFIs', (s) => (s.pdrs[1].pdi.qfis = [1])],
    ['routes', (s) => (s.pdrs[1].pdi.framed_routes = ['10.0.0.0/8'])],
    ['removal', (s) => delete s.pdrs[1].outer_header_removal],
    ['FAR', (s) => (s.pdrs[1].far_id = 2)],
    ['QERs', (s) => (s.pdrs[1].qer_ids = [2, 1])],
    ['URRs', (s) => (s.pdrs[1].urr_ids = [])],
    ['tunnel', (s) => (s.fars[1].forward.outer_header_creation.teid = 5)],
    ['peer', (s) => (s.fars[1].forward.outer_header_creation.ipv4 = '1.1.1.1')],
    ['port', (s) => (s.fars[1].forward.outer_header_creation.udp_port = 5)],
    ['action', (s) => (s.fars[1] = { id: 2, drop: {} })],
    ['FAR instance', (s) => (s.fars[1].forward.network_instance = 'else')],
    ['duplicates', (s) => (s.fars[1].duplicates = [{ destination_interface: 1 }])],
    ['MBR', (s) => (s.qers[0].uplink_mbr_kbps = '1')],
    ['bucket', (s) => (s.qers[1].shared_bucket = 'else')],
    ['threshold', (s) => (s.urrs[0].volume_threshold.total_bytes = '1')],
    ['quota FAR', (s) => (s.urrs[0].quota_far_id = 2)],
    ['quota grant', (s) => (s.urrs[0].quota_grant = 2)],
    ['report of starts', (s) => (s.urrs[0].report_start = true)],
    ['quota holding time', (s) => (s.urrs[0].quota_holding_time = { seconds: 9 })],
    ['monitoring time', (s) => (s.urrs[0].monitoring_times = [{ time: { seconds: 9 } }])],
    ['BARs', (s) => (s.bars = [{ id: 1 }])],
  ])('is false when the %s differs', (_, change) => {
    expect(sameContent(sample, 0, changed(change), 0)).toBe(false);
    expect(sameContent(changed(change), 0, sample, 0)).toBe(false);
  });
});

describe('single rules', () => {
  const linked = (order: readonly number[], link: number, quota_far_id: number) =>
    changed((s) => {
      s.urrs = order.map((id) => ({ id, measure_volume: true }));
      s.urrs[order.indexOf(1)] = { id: 1, linked_urr_ids: [link], quota_far_id };
    });

  it('compares URRs by the IDs that they name, wherever these stand', () => {
    const one = linked([1, 2, 3], 2, 1);
    const moved = linked([3, 1, 2], 2, 1);
    expect(sameUrr(one, 0, 0, moved, 0, 1)).toBe(true);
    expect(sameUrr(one, 0, 1, moved, 0, 2)).toBe(true);
    expect(sameUrr(one, 0, 1, moved, 0, 0)).toBe(false);
    expect(sameUrr(one, 0, 0, linked([1, 2, 3], 3, 1), 0, 0)).toBe(false);
    expect(sameUrr(one, 0, 0, linked([1, 2, 3], 2, 2), 0, 0)).toBe(false);
  });

  it('compares QERs with their bucket', () => {
    const other = changed((s) => (s.qers[1].shared_bucket = 'else'));
    expect(sameQer(sample, 0, 0, other, 0, 0)).toBe(true);
    expect(sameQer(sample, 0, 1, other, 0, 1)).toBe(false);
    expect(sameQer(sample, 0, 0, sample, 0, 1)).toBe(false);
  });
});
