/**
 * How much of an outbound association the packet path has at a time: the store knows that it may be
 * used before any of it is, and after a crash all of it counts as used. Pure; any thread.
 */
import type { AssociationUse } from '../datapath/protection-path.js';
import type { ProtectionTerms } from './protection.js';

/** As many as no worker seals in two seconds; short sequences have 256 such blocks. */
const NUMBERS = 1n << 24n;
const NUMBERS_LEAST = 1n << 20n;
/** What the numbers carry when all packets are of 4 kB. */
const BYTES = 1n << 36n;
const BYTES_LEAST = 1n << 30n;
/** A crash costs no more of a hard lifetime, unless that is shorter than some seconds of traffic. */
const PART_OF_LIFETIME = 8n;

export function withBlock(terms: ProtectionTerms, used: AssociationUse): AssociationUse {
  const { number, bytes } = blockOf(terms);
  return { number: used.number + number, bytes: used.bytes + bytes };
}

/** Whether half of a block is gone, so that another one is due. */
export function isHalfUsed(
  terms: ProtectionTerms,
  allowed: AssociationUse,
  used: AssociationUse,
): boolean {
  const { number, bytes } = blockOf(terms);
  return allowed.number - used.number < number / 2n || allowed.bytes - used.bytes < bytes / 2n;
}

function blockOf({ lifetime }: ProtectionTerms): AssociationUse {
  return {
    number: partOf(lifetime.hardPackets, NUMBERS_LEAST, NUMBERS),
    bytes: partOf(lifetime.hardBytes, BYTES_LEAST, BYTES),
  };
}

function partOf(lifetime: bigint, least: bigint, most: bigint): bigint {
  const part = lifetime / PART_OF_LIFETIME;
  if (lifetime === 0n || part > most) return most;
  return part < least ? least : part;
}
