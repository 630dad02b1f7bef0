/** Numbers with units as people type them. Pure. */
import { usageError } from '../tools/tool-error.js';

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

function scaled(text: string, flag: string, example: string): number {
  const match = /^(\d+(?:\.\d+)?)([kKmMgGtT]?)$/.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]);
  if (match === null || Number.isNaN(value)) {
    throw usageError(`${flag}: "${text}" is not understood; write for example ${example}`);
  }
  const scaledUp = value * (FACTORS[(match[2] ?? '').toLowerCase()] ?? 1);
  if (scaledUp <= Number.MAX_SAFE_INTEGER) return scaledUp;
  throw usageError(`${flag}: "${text}" is more than ${Number.MAX_SAFE_INTEGER}`);
}

/** kbit/s of "10M" (bits per second with k, M, G as powers of 1000). */
export function parseRateKbps(text: string, flag: string): number {
  const kbps = scaled(text, flag, '64k, 10M or 1.5G (bits per second)') / 1000;
  if (!Number.isInteger(kbps)) throw usageError(`${flag}: rates are whole kbit/s; got "${text}"`);
  return kbps;
}

/** Bytes of "100M" (k, M, G as powers of 1000). */
export function parseBytes(text: string, flag: string): number {
  return Math.round(scaled(text, flag, '500k, 100M or 2G (bytes)'));
}

/** A count such as "250k". */
export function parseCount(text: string, flag: string): number {
  return Math.round(scaled(text, flag, '1000 or 250k'));
}

/** A whole number, decimal or 0x…, within bounds. */
export function parseInteger(text: string, flag: string, min: number, max: number): number {
  const value = /^(0[xX][0-9a-fA-F]+|\d+)$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw usageError(`${flag}: "${text}" is no whole number from ${min} to ${max}`);
}

/** Seconds of "10", "10s", "500ms", "2m" or "1h". */
export function parseSeconds(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (match === null) throw usageError(`${flag}: "${text}" is no time, such as 10s or 500ms`);
  return Number(match[1]) * (SECONDS[match[2] ?? 's'] ?? 1);
}

/** "90 s" or "500 ms" of seconds. */
export function formatSeconds(seconds: number): string {
  return seconds < 1 ? `${trim(seconds * 1000)} ms` : `${trim(seconds)} s`;
}

/** "50.0 Mbit/s" of kbit/s. */
export function formatRate(kbps: number): string {
  if (kbps >= 1e6) return `${trim(kbps / 1e6)} Gbit/s`;
  if (kbps >= 1e3) return `${trim(kbps / 1e3)} Mbit/s`;
  return `${trim(kbps)} kbit/s`;
}

/** "1.5 GB" of bytes, powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${trim(value)} ${units[unit]}`;
}

function trim(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1);
}
