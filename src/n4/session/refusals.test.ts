import { describe, expect, it } from 'vitest';
import { PrepareStatus } from '../../datapath/datapath.js';
import {
  accepted,
  accessFar,
  coreFar,
  downlinkPdr,
  establishment,
  FakePeer,
  type Loose,
  refused,
  startSessions,
} from './session.fixture.js';

const FAILURE = 'Rule creation/modification Failure';
const UNSUPPORTED = 'Service not supported';
type Case = [what: string, change: (e: Loose) => void, cause: string, ie: string, rule?: Loose];
const sdf = (flowDescription: string) => (e: Loose) => {
  e['Create PDR'][1].PDI['SDF Filter'] = [{ flags: ['FD'], flowDescription }];
};
const parameters = (e: Loose, far: number) => e['Create FAR'][far]['Forwarding Parameters'];
const PDR2 = { type: 'PDR', pdrId: 2 };

const CASES: Case[] = [
  ['a FAR that is not there', (e) => (e['Create PDR'][0]['FAR ID'] = 9), FAILURE, 'FAR ID'],
  ['a URR that is not there', (e) => (e['Create PDR'][1]['URR ID'] = [9]), FAILURE, 'URR ID', PDR2],
  ['a QER that is not there', (e) => (e['Create PDR'][1]['QER ID'] = [9]), FAILURE, 'QER ID', PDR2],
  ['a PDR ID twice', (e) => (e['Create PDR'][1]['PDR ID'] = 1), FAILURE, 'PDR ID'],
  ['a FAR ID twice', (e) => (e['Create FAR'][1]['FAR ID'] = 1), FAILURE, 'FAR ID'],
  [
    'FORW and DROP',
    (e) => (e['Create FAR'][0]['Apply Action'] = ['FORW', 'DROP']),
    'Mandatory IE incorrect',
    'Apply Action',
  ],
  [
    'no action',
    (e) => (e['Create FAR'][0]['Apply Action'] = ['NOCP']),
    'Mandatory IE incorrect',
    'Apply Action',
  ],
  ['IPMA', (e) => (e['Create FAR'][0]['Apply Action'] = ['IPMA']), UNSUPPORTED, 'Apply Action'],
  [
    'FORW without parameters',
    (e) => delete e['Create FAR'][0]['Forwarding Parameters'],
    'Conditional IE missing',
    'Forwarding Parameters',
  ],
  [
    'GTPU4 and UDP6',
    (e) => {
      const header = parameters(e, 1)['Outer Header Creation'];
      Object.assign(header, { flags: ['GTPU4', 'UDP6'], ipv6: '2001:db8::1', port: 1 });
    },
    FAILURE,
    'Outer Header Creation',
    { type: 'FAR', farId: 2 },
  ],
  [
    'an outer header of UDP alone',
    (e) => {
      parameters(e, 1)['Outer Header Creation'] = { flags: ['UDP4'], ipv4: '10.0.0.2', port: 9 };
    },
    UNSUPPORTED,
    'Outer Header Creation',
  ],
  [
    'a VLAN tag to remove',
    (e) => (e['Create PDR'][0]['Outer Header Removal'] = { description: 'VLAN S-TAG' }),
    UNSUPPORTED,
    'Outer Header Removal',
  ],
  [
    'packets of a 5G VN group',
    (e) => (e['Create PDR'][0].PDI['Source Interface'] = 5),
    UNSUPPORTED,
    'Source Interface',
  ],
  ['Ethernet', (e) => (e['PDN Type'] = 'Ethernet'), UNSUPPORTED, 'PDN Type'],
  ['no IP', (e) => (e['PDN Type'] = 'Non-IP'), UNSUPPORTED, 'PDN Type'],
  [
    'a QFI of 0',
    (e) => (e['Create PDR'][0].PDI.QFI = [0]),
    FAILURE,
    'QFI',
    { type: 'PDR', pdrId: 1 },
  ],
  ['half a flow', sdf('permit out ip'), FAILURE, 'SDF Filter', PDR2],
  ['a protocol of 256', sdf('permit out 256 from any to any'), FAILURE, 'SDF Filter', PDR2],
  ['a port of 70000', sdf('permit out udp from any 70000 to any'), FAILURE, 'SDF Filter', PDR2],
  ['a prefix of 129', sdf('permit out ip from ::/129 to any'), FAILURE, 'SDF Filter', PDR2],
  ['what is no grammar', sdf('permit out ip from table(1) to any'), FAILURE, 'SDF Filter', PDR2],
  [
    'a long text',
    sdf(`permit out ip from any to any${' '.repeat(9000)}`),
    FAILURE,
    'SDF Filter',
    PDR2,
  ],
  [
    'a filter ID of no filter',
    (e) => (e['Create PDR'][1].PDI['SDF Filter'] = [{ flags: ['BID'], sdfFilterId: 3 }]),
    FAILURE,
    'SDF Filter',
    PDR2,
  ],
  [
    'a traffic endpoint that is not there',
    (e) => (e['Create PDR'][1].PDI['Traffic Endpoint ID'] = [3]),
    FAILURE,
    'Traffic Endpoint ID',
    PDR2,
  ],
  [
    'a traffic endpoint that no PDR names',
    (e) =>
      (e['Create Traffic Endpoint'] = [{ 'Traffic Endpoint ID': 3, 'F-TEID': { flags: ['CH'] } }]),
    FAILURE,
    'Traffic Endpoint ID',
  ],
  [
    'an instance that no port carries',
    (e) => (e['Create PDR'][1].PDI['Network Instance'] = 'elsewhere'),
    FAILURE,
    'Network Instance',
    PDR2,
  ],
  [
    'a downlink PDR without an address',
    (e) => delete e['Create PDR'][1].PDI['UE IP Address'],
    'Conditional IE missing',
    'UE IP Address',
  ],
  [
    'an F-TEID without an address',
    (e) => (e['Create PDR'][0].PDI['F-TEID'] = { flags: [], teid: '0x00000007' }),
    'Mandatory IE incorrect',
    'F-TEID',
  ],
  [
    'an uplink PDR without an F-TEID',
    (e) => delete e['Create PDR'][0].PDI['F-TEID'],
    'Conditional IE missing',
    'F-TEID',
  ],
  [
    'a bucket with two rates',
    (e) => {
      const [qer] = e['Create QER'];
      qer['QER Correlation ID'] = 1;
      e['Create QER'].push({ ...qer, 'QER ID': 2, MBR: { uplinkKbps: 1, downlinkKbps: 1 } });
    },
    FAILURE,
    'QER Correlation ID',
    { type: 'QER', qerId: 2 },
  ],
  [
    'a period that is not said',
    (e) => (e['Create URR'][0]['Reporting Triggers'] = ['PERIO']),
    'Conditional IE missing',
    'Measurement Period',
  ],
  [
    'a URR that counts events',
    (e) => (e['Create URR'][0]['Measurement Method'] = ['EVENT']),
    UNSUPPORTED,
    'Measurement Method',
  ],
  [
    'more rules than there may be',
    (e) => {
      e['Create FAR'] = Array.from({ length: 70 }, (_, i) => ({ ...coreFar(), 'FAR ID': i + 1 }));
    },
    'No resources available',
    'Create FAR',
  ],
  [
    'two UE addresses',
    (e) => {
      const other = downlinkPdr(5);
      other['PDR ID'] = 3;
      e['Create PDR'].push(other);
    },
    FAILURE,
    'UE IP Address',
    { type: 'PDR', pdrId: 3 },
  ],
  [
    'a BAR that is not there',
    (e) => {
      e['Create FAR'][1] = { ...accessFar(), 'Apply Action': ['BUFF'], 'BAR ID': 8 };
    },
    FAILURE,
    'BAR ID',
    { type: 'FAR', farId: 2 },
  ],
];

describe('a refused establishment leaves nothing behind', () => {
  it.each(CASES)('%s', async (_what, change, cause, ie, rule) => {
    const bench = await startSessions();
    const answer = await refused(bench, (elements) => void change(elements));
    expect(answer).toMatchObject({ cause, ie, seid: 1, ...(rule && { rule }) });
    // What was refused is no hindrance to what is right.
    await accepted(bench, new FakePeer(), establishment(1));
  });
});

it('a FAR whose network instance has no port of its protection is what is refused', async () => {
  const bench = await startSessions();
  bench.datapath.refuse = () => PrepareStatus.ProtectionPort;
  const answer = await refused(bench, () => {});
  expect(answer).toMatchObject({
    cause: FAILURE,
    ie: 'Network Instance',
    rule: { type: 'FAR', farId: 1 },
  });
});
