import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { valueArbitrary } from '../arbitrary.fixture.js';
import * as Ie from '../ie.js';
import { MessageReader } from '../message-reader.js';
import * as Message from '../message-type.js';
import { MessageWriter } from '../message-writer.js';
import { elementOf } from '../table/table.js';
import { decodeValue, encodeValue, type Values } from '../value-codec.js';
import { ipv4Text, ipv6Text } from './address-text.js';
import { FSeid, readFSeid } from './f-seid.js';
import { FTeid, readFTeid } from './f-teid.js';
import { InstanceText, labelsOf } from './instance.js';
import { nodeIdValue, readNodeId } from './node-id.js';
import { OuterHeaderCreation, readOuterHeaderCreation } from './outer-header.js';
import { readSdfFilter, SdfFilter } from './sdf-filter.js';
import { readUeIpAddress, UeIpAddress } from './ue-ip-address.js';
import { downlinkKbps, readVolume, uplinkKbps, Volume } from './volume.js';

const numRuns = 200;
const reader = new MessageReader();
const writer = new MessageWriter(65535);

/** Puts one value into the reader, other octets around it; its index. */
function place(type: number, value: Uint8Array, around = 0): number {
  writer.beginBody();
  writer.copy(999, new Uint8Array(32).fill(around));
  writer.copy(type, value);
  writer.copy(999, new Uint8Array(32).fill(around));
  const message = Message.HeartbeatRequest;
  if (!reader.readBody(message, writer.bytes, 0, writer.length)) throw new Error('not read');
  return 1;
}

const bytesOfIpv4 = new Uint8Array(4);
function ipv4Of(word: number): string {
  new DataView(bytesOfIpv4.buffer).setUint32(0, word);
  return ipv4Text(bytesOfIpv4, 0);
}
function ipv6Of(words: Uint32Array): string {
  const bytes = new Uint8Array(16);
  words.forEach((word, index) => {
    new DataView(bytes.buffer).setUint32(index * 4, word);
  });
  return ipv6Text(bytes, 0);
}
const hex = (value: number, digits = 8) => `0x${value.toString(16).padStart(digits, '0')}`;

/** For values of the table: what the flat reader reads is what the table says. */
function agrees(
  type: number,
  check: (index: number, value: Values, flags: string[]) => void,
): void {
  const { layout } = elementOf(type)!;
  fc.assert(
    fc.property(valueArbitrary(layout), (value) => {
      const values = value as Values;
      check(place(type, encodeValue(layout, value)), values, (values.flags ?? []) as string[]);
    }),
    { numRuns },
  );
}

describe('flat readers of values', () => {
  it('F-TEID', () => {
    const out = new FTeid();
    agrees(Ie.FTeid, (index, value, flags) => {
      const choose = flags.includes('CH');
      const families = flags.includes('V4') || flags.includes('V6');
      expect(readFTeid(reader, index, out)).toBe(choose || families);
      if (!choose && !families) return;
      expect(out.choose).toBe(choose);
      expect(out.hasIpv6).toBe(flags.includes('V6'));
      // An SMF that only says CHOOSE wants IPv4.
      expect(out.hasIpv4).toBe(flags.includes('V4') || !families);
      if (value.teid !== undefined) expect(hex(out.teid)).toBe(value.teid);
      if (value.ipv4 !== undefined) expect(ipv4Of(out.ipv4)).toBe(value.ipv4);
      if (value.ipv6 !== undefined) expect(ipv6Of(out.ipv6)).toBe(value.ipv6);
      expect(out.chooseId).toBe(value.chooseId ?? -1);
    });
  });

  it('F-SEID', () => {
    const out = new FSeid();
    agrees(Ie.FSeid, (index, value, flags) => {
      const families = flags.length > 0;
      expect(readFSeid(reader, index, out)).toBe(families);
      if (!families) return;
      expect(hex(out.seidHigh) + hex(out.seidLow).slice(2)).toBe(value.seid);
      if (value.ipv4 !== undefined) expect(ipv4Of(out.ipv4)).toBe(value.ipv4);
      if (value.ipv6 !== undefined) expect(ipv6Of(out.ipv6)).toBe(value.ipv6);
    });
  });

  it('UE IP Address', () => {
    const out = new UeIpAddress();
    agrees(Ie.UeIpAddress, (index, value, flags) => {
      const means = ['V4', 'V6', 'CHV4', 'CHV6'].some((flag) => flags.includes(flag));
      expect(readUeIpAddress(reader, index, out)).toBe(means);
      if (!means) return;
      expect([out.hasIpv4, out.hasIpv6]).toEqual([flags.includes('V4'), flags.includes('V6')]);
      expect(out.chooseIpv4).toBe(flags.includes('CHV4'));
      expect(out.chooseIpv6).toBe(flags.includes('CHV6'));
      if (value.ipv4 !== undefined) expect(ipv4Of(out.ipv4)).toBe(value.ipv4);
      if (value.ipv6 !== undefined) expect(ipv6Of(out.ipv6)).toBe(value.ipv6);
      if (value.prefixLength !== undefined) expect(out.prefixLength).toBe(value.prefixLength);
    });
  });

  it('Outer Header Creation', () => {
    const out = new OuterHeaderCreation();
    agrees(Ie.OuterHeaderCreation, (index, value) => {
      expect(readOuterHeaderCreation(reader, index, out)).toBe(true);
      expect(out.hasTeid).toBe(value.teid !== undefined);
      if (out.hasTeid) expect(hex(out.teid)).toBe(value.teid);
      expect(out.hasIpv4).toBe(value.ipv4 !== undefined);
      if (out.hasIpv4) expect(ipv4Of(out.ipv4)).toBe(value.ipv4);
      expect(out.hasIpv6).toBe(value.ipv6 !== undefined);
      if (out.hasIpv6) expect(ipv6Of(out.ipv6)).toBe(value.ipv6);
      expect(out.port).toBe(value.port ?? 0);
    });
  });

  it('SDF Filter', () => {
    const out = new SdfFilter();
    agrees(Ie.SdfFilter, (index, value, flags) => {
      expect(readSdfFilter(reader, index, out)).toBe(flags.length > 0);
      const text = Buffer.from(reader.bytes).toString(
        'utf8',
        out.textAt,
        out.textAt + out.textLength,
      );
      expect(text).toBe(value.flowDescription ?? '');
      if (flags.includes('TTC')) {
        expect(hex((out.tos << 8) | out.tosMask, 4)).toBe(`0x${value.tosTrafficClass}`);
      }
      if (flags.includes('SPI')) expect(hex(out.spi)).toBe(value.securityParameterIndex);
      if (flags.includes('FL')) expect(out.flowLabel).toBe(Number(value.flowLabel) & 0xfffff);
      expect(out.id).toBe(value.sdfFilterId ?? 0);
    });
  });

  it('Volume Measurement, both ways', () => {
    const out = new Volume();
    agrees(Ie.VolumeMeasurement, (index, value, flags) => {
      expect(readVolume(reader, index, out)).toBe(true);
      const names = [
        'total',
        'uplink',
        'downlink',
        'totalPackets',
        'uplinkPackets',
        'downlinkPackets',
      ];
      names.forEach((name, kind) => {
        const words = (BigInt(out.words[kind * 2 + 1]!) << 32n) | BigInt(out.words[kind * 2]!);
        expect(words).toBe(BigInt((value[name] ?? 0) as number | string));
      });
      expect(flags).toHaveLength([...out.flags.toString(2)].filter((bit) => bit === '1').length);
      const before = reader.bytes.slice(reader.valueAt[index]!, reader.valueAt[index + 1]! - 4);
      writer.beginBody();
      writer.volume(Ie.VolumeMeasurement, out);
      expect(writer.bytes.slice(4, writer.length)).toEqual(before);
    });
  });

  it('bit rates', () => {
    agrees(Ie.Mbr, (index, value) => {
      expect(uplinkKbps(reader, index)).toBe(value.uplinkKbps);
      expect(downlinkKbps(reader, index)).toBe(value.downlinkKbps);
    });
  });

  it('Node IDs, both ways', () => {
    for (const text of ['10.0.0.1', '2001:db8::1', 'smf.5gc.example']) {
      expect(readNodeId(reader, place(Ie.NodeId, nodeIdValue(text)!))).toBe(text);
    }
    expect(readNodeId(reader, place(Ie.NodeId, Buffer.from('\x02\x03SMF\x01a')))).toBe('smf.a');
    for (const value of [
      '00',
      '000a0000',
      '01',
      '0203616200',
      '02036162',
      '0205616263',
      '05',
      '02',
    ]) {
      expect(readNodeId(reader, place(Ie.NodeId, Buffer.from(value, 'hex')))).toBe('');
    }
    for (const text of ['', 'a..b', 'x'.repeat(64), `${'abcdefg.'.repeat(32)}z`]) {
      expect(nodeIdValue(text)).toBeUndefined();
    }
  });

  it('network instances as labels, as text and empty', () => {
    const text = new InstanceText();
    const read = (value: Uint8Array) => {
      text.read(reader, place(Ie.NetworkInstance, value));
      return text.toString();
    };
    expect(read(labelsOf('internet')!)).toBe('internet');
    expect(read(labelsOf('internet.mnc001.mcc001.gprs')!)).toBe('internet.mnc001.mcc001.gprs');
    expect(read(Buffer.from('internet'))).toBe('internet');
    expect(read(Buffer.from('\x08interne'))).toBe('\x08interne');
    expect(read(Buffer.from('\x08internet\x00'))).toBe('\x08internet\x00');
    expect(read(new Uint8Array(0))).toBe('');
  });
});

describe('octets that are no value', () => {
  it('are told, and nothing behind them is read', () => {
    const fTeid = new FTeid();
    const fSeid = new FSeid();
    const address = new UeIpAddress();
    const header = new OuterHeaderCreation();
    const filter = new SdfFilter();
    const volume = new Volume();
    const text = new InstanceText();
    const read = [
      (index: number) => [readFTeid(reader, index, fTeid), { ...fTeid }],
      (index: number) => [readFSeid(reader, index, fSeid), { ...fSeid }],
      (index: number) => [readUeIpAddress(reader, index, address), { ...address }],
      (index: number) => [readOuterHeaderCreation(reader, index, header), { ...header }],
      (index: number) => [readSdfFilter(reader, index, filter), filter.flags],
      (index: number) => [readVolume(reader, index, volume), [...volume.words]],
      (index: number) => [readNodeId(reader, index)],
      (index: number) => [reader.flags(index)],
      (index: number) => {
        text.read(reader, index);
        return [text.toString()];
      },
    ];
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (value) => {
        for (const one of read) {
          const low = JSON.stringify(one(place(998, value, 0)));
          expect(JSON.stringify(one(place(998, value, 0xff)))).toBe(low);
        }
      }),
      { numRuns: numRuns * 2 },
    );
  });

  it('of the table are what the flat readers refuse', () => {
    const { layout } = elementOf(Ie.FSeid)!;
    const out = new FSeid();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 9, maxLength: 40 }), (value) => {
        const described = decodeValue(layout, value, 0, value.length) as Values;
        const refused = !readFSeid(reader, place(Ie.FSeid, value), out);
        expect(refused).toBe(described.octets !== undefined || (value[0]! & 3) === 0);
      }),
      { numRuns },
    );
  });
});
