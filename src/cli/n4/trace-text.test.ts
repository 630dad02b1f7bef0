import { expect, it } from 'vitest';
import { briefText, traceText } from './trace-text.js';

const message = {
  time: { seconds: '1700000000', nanos: 250_000_000 },
  sent: false,
  remote: '10.0.0.2:8805',
  node_id: 'smf.example.org',
  message: 'Session Modification Request',
  seid: '34',
  sequence: 3,
  elements: JSON.stringify({
    'Update FAR': [
      {
        'FAR ID': 1,
        'Apply Action': ['FORW', 'NOCP'],
        'Update Forwarding Parameters': {
          'Network Instance': { labels: 'internet' },
          'Outer Header Creation': { flags: ['GTPU4'], teid: '0x00000055', ipv4: '10.0.3.9' },
        },
      },
    ],
    'Query URR': [{ 'URR ID': 1 }, { 'URR ID': 2 }],
    'PFCPSMReq-Flags': [],
    'IE 999': ['00', '01'],
    malformed: '0013ff',
  }),
};

it('shows a message with its elements, groups indented', () => {
  expect(traceText(message)).toBe(
    `22:13:20.250 < 10.0.0.2:8805 (smf.example.org)  Session Modification Request  3  SEID 0x22
  Update FAR
    FAR ID: 1
    Apply Action: FORW, NOCP
    Update Forwarding Parameters
      Network Instance: labels internet
      Outer Header Creation: GTPU4, teid 0x00000055, ipv4 10.0.3.9
  Query URR
    URR ID: 1
  Query URR
    URR ID: 2
  PFCPSMReq-Flags: -
  IE 999: 00, 01
  malformed: 0013ff`,
  );
});

it('shows a message in one line, with its cause and what is wrong with it', () => {
  const elements = '{"Cause":"Request accepted"}';
  const other = { ...message, sent: true, node_id: '10.0.0.2', elements, faults: ['version 2'] };
  expect(briefText(other)).toBe(
    '22:13:20.250 > 10.0.0.2:8805  Session Modification Request  3  SEID 0x22  Request accepted  ! version 2',
  );
  expect(briefText({ remote: '10.0.0.2:8805', message: '' })).toBe(' < 10.0.0.2:8805  not PFCP  0');
});
