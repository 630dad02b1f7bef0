/**
 * tshark as an independent reader of PFCP: it sees in our messages the elements that we wrote,
 * and nothing malformed. The messages are made from the codec's table, with a fixed seed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageArbitrary } from '../src/n4/codec/arbitrary.fixture.js';
import { encodeMessage } from '../src/n4/codec/describe.js';
import { MessageReader } from '../src/n4/codec/message-reader.js';
import { establishmentRequest } from '../src/n4/codec/sample.fixture.js';
import { messages } from '../src/n4/codec/table/table.js';
import { octets, open5gsMessages, vectors } from '../src/n4/codec/vectors.fixture.js';

const perMessage = 20;
const seed = 29244;
/** LINKTYPE_WIRESHARK_UPPER_PDU: each record names its dissector. */
const linkType = 252;

/** A pcap file in which each record is handed to tshark's PFCP dissector as it is. */
function pcapOf(records: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(0x40000, 16);
  header.writeUInt32LE(linkType, 20);
  const tag = Buffer.from([0, 12, 0, 4, ...Buffer.from('pfcp'), 0, 0, 0, 0]);
  return Buffer.concat([
    header,
    ...records.flatMap((record, index) => {
      const length = tag.length + record.length;
      const head = Buffer.alloc(16);
      head.writeUInt32LE(index, 0);
      head.writeUInt32LE(length, 8);
      head.writeUInt32LE(length, 12);
      return [head, tag, record];
    }),
  ]);
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-n4-tshark-'));
const file = join(folder, 'n4.pcap');
const reader = new MessageReader();
const written = [
  ...Object.values(vectors).map(octets),
  ...open5gsMessages(),
  establishmentRequest(),
  ...messages
    .filter(({ handling }) => handling === 'supported')
    .flatMap((row) => fc.sample(messageArbitrary(row, 'supported'), { numRuns: perMessage, seed }))
    .map(encodeMessage),
];

function tshark(...args: string[]): string[] {
  const lines = execFileSync('tshark', ['-r', file, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return lines.split('\n').slice(0, -1);
}

describe('PFCP messages, to tshark', () => {
  beforeAll(() => {
    writeFileSync(file, pcapOf(written));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it('have the type, sequence, SEID and elements that were written', () => {
    const fields = ['pfcp.msg_type', 'pfcp.seqno', 'pfcp.seid', 'pfcp.ie_type'];
    const lines = tshark('-T', 'fields', ...fields.flatMap((field) => ['-e', field]));
    expect(lines).toHaveLength(written.length);
    lines.forEach((line, index) => {
      const bytes = written[index]!;
      expect(reader.read(bytes, 0, bytes.length)).toBe(true);
      const [type, sequence, seid, types] = line.split('\t');
      expect([Number(type), Number(sequence)]).toEqual([reader.messageType, reader.sequence]);
      const [first] = seid!.split(',');
      if (reader.hasSeid) {
        const expected = (BigInt(reader.seidHigh) << 32n) | BigInt(reader.seidLow);
        expect(BigInt(first!)).toBe(expected);
      }
      const seen = types === '' ? [] : types!.split(',').map(Number);
      expect(seen).toEqual([...reader.ieType.subarray(0, reader.count)]);
    });
  });

  it('are well-formed', () => {
    const bad = '_ws.malformed || _ws.expert.severity >= 0x600000';
    expect(
      tshark('-Y', bad, '-T', 'fields', '-e', 'frame.number', '-e', '_ws.expert.message'),
    ).toEqual([]);
  });
});
