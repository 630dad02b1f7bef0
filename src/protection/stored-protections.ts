/**
 * Protections over the end of the process: one named value of the store for each, and one that lists
 * them. Secrets are in them as the key provider has wrapped them. Owner: the control thread.
 */
import { SluiceError } from '../base/errors.js';
import type { AssociationUse } from '../datapath/protection-path.js';
import type { Store } from '../store/store.js';
import type { Lifetime, ProtectionTerms } from './protection.js';

export interface KeptAssociation {
  readonly spi: number;
  /** Outbound: so much may have been used. Inbound: the newest number that had come. */
  use: AssociationUse;
  /** The secret, wrapped. */
  readonly wrapped: Uint8Array;
  /** Tells its secret from others: a hash. */
  readonly digest: string;
  /**
   * Tells its SM4 key from others, whatever its salt and authentication key are: a hash. With CBC the
   * key alone makes the initialization vectors. '': not known yet.
   */
  keyDigest: string;
}

export interface KeptProtection {
  readonly terms: ProtectionTerms;
  revision: number;
  readonly createTimeMs: number;
  outbound: KeptAssociation[];
  inbound: KeptAssociation[];
  /** Digests of keys that are not in use any more, and must not be again. */
  readonly retired: string[];
}

export type NewerUse = ReadonlyMap<KeptAssociation, AssociationUse>;
const NOTHING_NEWER: NewerUse = new Map();

const LIST = 'protections';
const VERSION = 1;
const EMPTY = new Uint8Array(0);
/** Older ones are forgotten: no list grows for ever. */
const RETIRED_MAX = 131_072;

type ProtectionStore = Pick<Store, 'getMeta' | 'putMeta' | 'commit'>;

/** Gathers writes; they take effect with the commit that follows in the same turn. */
export class StoredProtections {
  /** Digests of keys of protections that were deleted, oldest first. */
  readonly retired = new Set<string>();

  constructor(private readonly store: ProtectionStore) {}

  /** @throws SluiceError failed_precondition: one can't be read, and going on would lose it. */
  load(): KeptProtection[] {
    const list = this.store.getMeta(LIST);
    if (list === undefined) return [];
    const { ids, retired } = JSON.parse(Buffer.from(list).toString()) as StoredList;
    for (const digest of retired) this.retired.add(digest);
    return ids.map((id) => {
      const value = this.store.getMeta(nameOf(id));
      const kept = value === undefined ? undefined : decoded(value);
      if (kept !== undefined) return kept;
      throw new SluiceError('failed_precondition', `the store's protection ${id} can't be read`, {
        field: 'store.path',
      });
    });
  }

  putList(ids: Iterable<number>): void {
    const list: StoredList = { ids: [...ids], retired: [...this.retired] };
    this.store.putMeta(LIST, Buffer.from(JSON.stringify(list)));
  }
  /** @param newer  what is written of these in the place of what is kept */
  put(kept: KeptProtection, newer: NewerUse = NOTHING_NEWER): void {
    this.store.putMeta(nameOf(kept.terms.id), encoded(kept, newer));
  }
  /** One that never was in use, whose keys may come again. To be followed by putList(). */
  withdraw({ terms }: KeptProtection): void {
    this.store.putMeta(nameOf(terms.id), EMPTY);
  }
  /** To be followed by putList(). */
  remove(kept: KeptProtection): void {
    const { outbound, inbound, retired } = kept;
    this.withdraw(kept);
    const gone = [...outbound, ...inbound].map(({ keyDigest }) => keyDigest);
    for (const digest of [...retired, ...gone]) this.retired.add(digest);
    for (const oldest of this.retired) {
      if (this.retired.size <= RETIRED_MAX) break;
      this.retired.delete(oldest);
    }
  }
  commit(): Promise<void> {
    return this.store.commit();
  }
}

function nameOf(id: number): string {
  return `protection.${id}`;
}

function encoded(kept: KeptProtection, newer: NewerUse): Buffer {
  const { outbound, inbound } = kept;
  const storedAs = (one: KeptAssociation) => storedAssociation(one, newer.get(one) ?? one.use);
  const stored = {
    ...{ version: VERSION, ...kept },
    outbound: outbound.map(storedAs),
    inbound: inbound.map(storedAs),
  };
  const text = JSON.stringify(stored, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return Buffer.from(text);
}

function storedAssociation(kept: KeptAssociation, use: AssociationUse): StoredAssociation {
  const { spi, wrapped, digest, keyDigest } = kept;
  return {
    spi,
    number: String(use.number),
    bytes: String(use.bytes),
    wrapped: Buffer.from(wrapped).toString('base64'),
    digest,
    keyDigest,
  };
}

interface StoredList {
  readonly ids: readonly number[];
  readonly retired: readonly string[];
}
interface StoredAssociation {
  readonly spi: number;
  readonly number: string;
  /** Versions before this one did not keep it. */
  readonly bytes?: string;
  readonly wrapped: string;
  readonly digest: string;
  /** As `bytes`. */
  readonly keyDigest?: string;
}
type Stored = Omit<KeptProtection, 'terms' | 'outbound' | 'inbound'> & {
  readonly version: number;
  readonly terms: Omit<ProtectionTerms, 'lifetime'> & {
    readonly lifetime: Record<keyof Lifetime, string>;
  };
  readonly outbound: readonly StoredAssociation[];
  readonly inbound: readonly StoredAssociation[];
};

function decoded(value: Uint8Array): KeptProtection | undefined {
  try {
    const stored = JSON.parse(Buffer.from(value).toString()) as Stored;
    if (stored.version !== VERSION) return undefined;
    const { softPackets, hardPackets, softBytes, hardBytes } = stored.terms.lifetime;
    const lifetime = {
      softPackets: BigInt(softPackets),
      hardPackets: BigInt(hardPackets),
      softBytes: BigInt(softBytes),
      hardBytes: BigInt(hardBytes),
    };
    return {
      terms: { ...stored.terms, lifetime },
      revision: stored.revision,
      createTimeMs: stored.createTimeMs,
      outbound: stored.outbound.map(associationOf),
      inbound: stored.inbound.map(associationOf),
      retired: [...stored.retired],
    };
  } catch {
    return undefined;
  }
}

function associationOf(stored: StoredAssociation): KeptAssociation {
  const { spi, number, bytes = '0', wrapped, digest, keyDigest = '' } = stored;
  const use = { number: BigInt(number), bytes: BigInt(bytes) };
  return { spi, use, wrapped: Buffer.from(wrapped, 'base64'), digest, keyDigest };
}
