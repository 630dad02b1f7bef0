import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatRate,
  parseBytes,
  parseInteger,
  parseRateKbps,
  parseSeconds,
} from './units.js';

describe('units', () => {
  it('reads rates as kbit/s', () => {
    expect(parseRateKbps('10M', '--mbr-ul')).toBe(10_000);
    expect(parseRateKbps('1.5G', '--mbr-ul')).toBe(1_500_000);
    expect(parseRateKbps('64k', '--mbr-ul')).toBe(64);
    expect(parseRateKbps('0', '--mbr-ul')).toBe(0);
    expect(() => parseRateKbps('1500', '--mbr-ul')).toThrow('--mbr-ul: rates are whole kbit/s');
    expect(() => parseRateKbps('10 Mbit', '--mbr-ul')).toThrow('--mbr-ul: "10 Mbit"');
  });
  it('reads bytes, whole numbers and times', () => {
    expect(parseBytes('100M', '--x')).toBe(100_000_000);
    expect(parseInteger('0x100', '--teid', 1, 0xffffffff)).toBe(256);
    expect(parseSeconds('500ms', '--time')).toBe(0.5);
    expect(parseSeconds('2m', '--time')).toBe(120);
    expect(parseSeconds('1h', '--time')).toBe(3600);
    expect(() => parseBytes('99999999999999999999', '--x')).toThrow('is more than');
    for (const text of ['-1', '1e3', '64', '']) {
      expect(() => parseInteger(text, '--qfi', 0, 63), text).toThrow('whole number from 0 to 63');
    }
  });
  it('writes them for people', () => {
    expect(formatRate(50_000)).toBe('50 Mbit/s');
    expect(formatRate(1_500_000)).toBe('1.50 Gbit/s');
    expect(formatBytes(100_000_000)).toBe('100 MB');
    expect(formatBytes(999)).toBe('999 B');
  });
});
