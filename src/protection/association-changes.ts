/**
 * From the associations that somebody asks for to those that a protection will have: what stays, what
 * is wrapped, and what may not be because a nonce could come twice. Owner: the control thread.
 */
import { SluiceError } from '../base/errors.js';
import { sm3 } from '../crypto/crypto.js';
import type { KeyWrap } from './node-key.js';
import {
  type AskedAssociation,
  type AskedProtection,
  invalid,
  KEY_BYTES,
  type Secret,
  sameTerms,
} from './protection.js';
import type { KeptAssociation, KeptProtection, StoredProtections } from './stored-protections.js';

/** Of a protection; older ones are forgotten. */
const RETIRED_MAX = 2048;

const KEY_DIGEST_BYTES = 16;

type Direction = 'outbound' | 'inbound';
const DIRECTIONS: readonly Direction[] = ['outbound', 'inbound'];

/** Of associations that are on their way into the packet path. */
export type Secrets = Map<KeptAssociation, Secret>;

export interface AssociationChange {
  readonly next: KeptProtection;
  /** Of those that are new. */
  readonly secrets: Secrets;
}

export class AssociationChanges {
  constructor(
    private readonly wrap: KeyWrap,
    /** All protections, by ID. */
    private readonly all: ReadonlyMap<number, KeptProtection>,
    private readonly stored: Pick<StoredProtections, 'retired'>,
  ) {}

  /** @param kept  as it is, which stays so. @throws SluiceError on the field that is at fault */
  async of(kept: KeptProtection, asked: AskedProtection): Promise<AssociationChange> {
    const secrets: Secrets = new Map();
    const outbound = await this.#associations(kept, asked, 'outbound', secrets);
    const inbound = await this.#associations(kept, asked, 'inbound', secrets);
    const stays = new Set([...outbound, ...inbound]);
    const gone = [...kept.outbound, ...kept.inbound].filter((one) => !stays.has(one));
    const retired = [...kept.retired, ...gone.map(({ keyDigest }) => keyDigest)].slice(
      -RETIRED_MAX,
    );
    const next = { ...kept, outbound, inbound, retired };
    this.#checkSecrets(next, secrets);
    return { next, secrets };
  }

  async isSame(kept: KeptProtection, asked: AskedProtection): Promise<boolean> {
    if (!sameTerms(kept.terms, asked.terms)) return false;
    for (const direction of DIRECTIONS) {
      if (kept[direction].length !== asked[direction].length) return false;
      for (const [position, { spi, digest }] of kept[direction].entries()) {
        const { spi: other, secret } = asked[direction][position]!;
        if (spi !== other || secret === undefined) return false;
        if ((await digestOf(secret)) !== digest) return false;
      }
    }
    return true;
  }

  /** Associations that stay keep what is known of them; others are wrapped. */
  async #associations(
    kept: KeptProtection,
    asked: AskedProtection,
    direction: Direction,
    secrets: Secrets,
  ): Promise<KeptAssociation[]> {
    const out: KeptAssociation[] = [];
    for (const [position, association] of asked[direction].entries()) {
      const field = `${direction}[${position}]`;
      const { spi, secret } = association;
      const there = kept[direction].findIndex((one) => one.spi === spi);
      if (there >= 0) {
        await checkStays(kept[direction][there]!, association, field);
        if (direction === 'outbound' && there !== position) {
          throw invalid(`${field}.spi`, `is at place ${there} of the list, and stays there`);
        }
        out.push(kept[direction][there]!);
        continue;
      }
      if (secret === undefined) throw invalid(`${field}.key`, 'must be given for a new SPI');
      if (direction === 'inbound') this.#checkSpi(kept.terms.id, spi, field);
      const wrapped = await this.wrap.wrap(secret, contextOf(kept.terms.id, direction, spi));
      const use = { number: 0n, bytes: 0n };
      const fresh = { spi, use, wrapped, ...(await digestsOf(secret)) };
      secrets.set(fresh, secret);
      out.push(fresh);
    }
    return out;
  }

  #checkSpi(id: number, spi: number, field: string): void {
    for (const other of this.all.values()) {
      if (other.terms.id === id || !other.inbound.some((one) => one.spi === spi)) continue;
      throw new SluiceError('already_exists', `protection ${other.terms.id} has this SPI`, {
        field: `protection.${field}.spi`,
      });
    }
  }

  /**
   * A key seals one sequence of packets in its life, or a nonce comes twice; and what was opened with it
   * once is not opened again by an association that knows nothing of that.
   */
  #checkSecrets(next: KeptProtection, secrets: Secrets): void {
    const retired = new Set<string>(next.retired);
    const live = new Set<string>();
    for (const kept of this.all.values()) {
      if (kept.terms.id === next.terms.id) continue;
      for (const { keyDigest } of [...kept.outbound, ...kept.inbound]) live.add(keyDigest);
      for (const digest of kept.retired) retired.add(digest);
    }
    for (const one of [...next.outbound, ...next.inbound]) {
      if (!secrets.has(one)) live.add(one.keyDigest);
    }
    for (const direction of DIRECTIONS) {
      for (const [position, one] of next[direction].entries()) {
        if (!secrets.has(one)) continue;
        const field = `${direction}[${position}].key`;
        const wasUsed = (digest: string) => retired.has(digest) || this.stored.retired.has(digest);
        // What was retired before there were digests of keys alone is known by all of its secret.
        if (wasUsed(one.keyDigest) || wasUsed(one.digest)) {
          throw invalid(field, 'has sealed packets before: give a fresh key');
        }
        if (live.has(one.keyDigest)) {
          throw invalid(
            field,
            'is that of another association: each has its own, in each direction',
          );
        }
        live.add(one.keyDigest);
      }
    }
  }
}

/**
 * All secrets of a protection that the store has; the caller wipes them. Digests that the version which
 * stored it did not have are made up for.
 */
export async function unwrapped(wrap: KeyWrap, kept: KeptProtection): Promise<Secrets> {
  const secrets: Secrets = new Map();
  for (const direction of DIRECTIONS) {
    for (const association of kept[direction]) {
      const context = contextOf(kept.terms.id, direction, association.spi);
      const secret = await wrap.unwrap(association.wrapped, context);
      association.keyDigest ||= await keyDigestOf(secret);
      secrets.set(association, Uint8Array.from(secret));
      secret.fill(0);
    }
  }
  return secrets;
}

async function checkStays(
  { digest }: KeptAssociation,
  { secret }: AskedAssociation,
  field: string,
): Promise<void> {
  if (secret === undefined || (await digestOf(secret)) === digest) return;
  throw invalid(`${field}.spi`, 'has another key: a new key needs a new SPI');
}

function contextOf(id: number, direction: Direction, spi: number): string {
  return `sluice protection ${id} ${direction} ${spi}`;
}

async function digestsOf(secret: Secret): Promise<{ digest: string; keyDigest: string }> {
  return { digest: await digestOf(secret), keyDigest: await keyDigestOf(secret) };
}

/** Half of a digest is enough to tell keys apart. */
async function keyDigestOf(secret: Uint8Array): Promise<string> {
  const digest = await sm3(secret.subarray(0, KEY_BYTES));
  return digest.subarray(0, KEY_DIGEST_BYTES).toString('base64');
}

async function digestOf(secret: Secret): Promise<string> {
  return (await sm3(secret)).toString('base64');
}
