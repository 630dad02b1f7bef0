/**
 * The protections of the node: made and changed over the API, kept in the store, brought into the
 * packet path. Sequence numbers and bytes are given to it by blocks that the store knows of first, so
 * that no end of the process makes a key count anew (decision 0039).
 *
 * Owner: the control thread. Start at {@link Protections.create}.
 */
import { SluiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type {
  AssociationSettings,
  AssociationStatus,
  AssociationUse,
  ProtectionPath,
} from '../datapath/protection-path.js';
import type { Store } from '../store/store.js';
import { AssociationChanges, type Secrets, unwrapped } from './association-changes.js';
import type { EspObstacle } from './esp-obstacle.js';
import type { KeyWrap } from './node-key.js';
import {
  type AskedProtection,
  AUTH_KEY_BYTES,
  invalid,
  KEY_BYTES,
  type ProtectionTerms,
  SALT_BYTES,
  sameTerms,
} from './protection.js';
import { associationOf, ProtectionRounds, useOf } from './protection-rounds.js';
import { type ProtectionEvent, ProtectionWatch } from './protection-watch.js';
import { withBlock } from './reserve.js';
import {
  type KeptAssociation,
  type KeptProtection,
  StoredProtections,
} from './stored-protections.js';

const TICK_MS = 1_000;
const SETTLE_MS = 1;
const NO_SECRET = new Uint8Array(0);

/** One protection with the figures of the packet path; without secrets. */
export interface ProtectionView {
  readonly kept: KeptProtection;
  readonly status: readonly AssociationStatus[];
  readonly references: number;
}

export interface ProtectionParts {
  readonly path: ProtectionPath;
  readonly store: Pick<Store, 'getMeta' | 'putMeta' | 'commit'>;
  readonly wrap: KeyWrap;
  /** Of the node. */
  readonly workers: number;
  /** Why no port can carry it, undefined: one can, as far as can be known. */
  readonly obstacle: (terms: ProtectionTerms) => EspObstacle | undefined;
  /** Bit n: port n of the node may carry it. */
  readonly ports: (terms: ProtectionTerms) => number;
  /** Packets without a known SPI that were dropped, ever. */
  readonly unknownSpis: () => number;
  /** More refused packets than these in a second are an event. */
  readonly alarmPacketsPerSecond: number;
  readonly log: Log;
  readonly now?: () => number;
}

export class Protections {
  readonly #kept = new Map<number, KeptProtection>();
  readonly #stored: StoredProtections;
  readonly #watch: ProtectionWatch;
  readonly #changes: AssociationChanges;
  readonly #rounds: ProtectionRounds;
  readonly #now: () => number;
  /** Changes come one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: ProtectionParts) {
    this.#stored = new StoredProtections(parts.store);
    this.#now = parts.now ?? Date.now;
    this.#watch = new ProtectionWatch(parts.alarmPacketsPerSecond, this.#now);
    this.#changes = new AssociationChanges(parts.wrap, this.#kept, this.#stored);
    this.#rounds = new ProtectionRounds({
      kept: this.#kept,
      path: parts.path,
      stored: this.#stored,
      watch: this.#watch,
      unknownSpis: parts.unknownSpis,
      tell: (event) => this.#tell(event),
      enqueue: (work) => this.#enqueue(work),
    });
  }

  /**
   * Brings back what the store has, before sessions that refer to it. Outbound associations go on
   * behind all that may have been used.
   */
  async restore(): Promise<void> {
    const restored: [KeptProtection, readonly AssociationUse[], Secrets][] = [];
    for (const kept of this.#stored.load()) {
      const secrets = await unwrapped(this.parts.wrap, kept);
      restored.push([kept, kept.outbound.map(({ use }) => use), secrets]);
    }
    if (restored.length === 0) return;
    for (const [kept] of restored) {
      for (const one of this.#sealing(kept)) one.use = withBlock(kept.terms, one.use);
      this.#stored.put(kept);
    }
    await this.#stored.commit();
    for (const [kept, used, secrets] of restored) {
      this.#bringIn(kept, used, secrets);
      this.#kept.set(kept.terms.id, kept);
    }
  }

  /** Looks after numbers and rates from now on. */
  start(): void {
    let isUnderWay = false;
    const tick = async (): Promise<void> => {
      if (isUnderWay) return;
      isUnderWay = true;
      await this.tick().catch((error: unknown) =>
        this.parts.log.error({ err: error }, 'the figures of protections could not be kept'),
      );
      isUnderWay = false;
    };
    this.#timer = setInterval(tick, TICK_MS).unref();
  }

  /** When the packet path has ended: what it used is known now, and no number is lost. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#rounds.end();
    await this.#enqueue(async () => {
      for (const kept of this.#kept.values()) {
        for (const row of this.parts.path.protectionStatus(kept.terms.id)) {
          const association = associationOf(kept, row);
          if (association !== undefined) association.use = useOf(row);
        }
        this.#stored.put(kept);
      }
      await this.#stored.commit();
    });
  }

  create(asked: AskedProtection): Promise<ProtectionView> {
    return this.#enqueue(() => this.#create(asked), asked);
  }
  /** @param expectedRevision  0n: any */
  update(asked: AskedProtection, expectedRevision: bigint): Promise<ProtectionView> {
    return this.#enqueue(() => this.#update(asked, expectedRevision), asked);
  }
  delete(id: number): Promise<void> {
    return this.#enqueue(() => this.#delete(id));
  }
  get(id: number): ProtectionView {
    const kept = this.#known(id);
    return {
      kept,
      status: this.parts.path.protectionStatus(id),
      references: this.parts.path.protectionUses(id),
    };
  }
  /** In the order of their IDs, from behind `after`. */
  list(after: number, most: number): ProtectionView[] {
    const ids = [...this.#kept.keys()].filter((id) => id > after).sort((a, b) => a - b);
    return ids.slice(0, most).map((id) => this.get(id));
  }
  get count(): number {
    return this.#kept.size;
  }
  /** @returns what ends the watch */
  watch(listener: (event: ProtectionEvent) => void): () => void {
    return this.#watch.listen(listener);
  }

  /** Once a second: blocks before they run out, and what is worth an event. */
  tick(): Promise<void> {
    return this.#rounds.run();
  }

  #tell(event: ProtectionEvent): void {
    const { id, spi, kind, packets } = event;
    this.parts.log.warn({ protection: id, spi, packets }, `protection: ${EVENT_TEXTS[kind]}`);
    this.#watch.tell(event);
  }

  async #create(asked: AskedProtection): Promise<ProtectionView> {
    const { terms } = asked;
    const there = this.#kept.get(terms.id);
    if (there !== undefined) {
      if (await this.#changes.isSame(there, asked)) return this.get(terms.id);
      const field = 'protection.id';
      throw new SluiceError('already_exists', 'another protection has this ID', { field });
    }
    const obstacle = this.parts.obstacle(terms);
    if (obstacle !== undefined) {
      const field = `protection.${obstacle.field}`;
      throw new SluiceError('failed_precondition', obstacle.message, { field });
    }
    const kept: KeptProtection = {
      terms,
      revision: 1,
      createTimeMs: this.#now(),
      outbound: [],
      inbound: [],
      retired: [],
    };
    await this.#change(kept, asked);
    return this.get(terms.id);
  }

  async #update(asked: AskedProtection, expectedRevision: bigint): Promise<ProtectionView> {
    const before = this.#known(asked.terms.id);
    if (expectedRevision !== 0n && expectedRevision !== BigInt(before.revision)) {
      throw new SluiceError('aborted', `the protection is at revision ${before.revision}`, {
        field: 'expected_revision',
      });
    }
    if (!sameTerms(before.terms, asked.terms)) {
      throw invalid('id', 'only outbound and inbound can be changed; make another protection');
    }
    const kept = { ...before, revision: before.revision + 1, retired: [...before.retired] };
    await this.#change(kept, asked);
    return this.get(asked.terms.id);
  }

  async #delete(id: number): Promise<void> {
    const kept = this.#known(id);
    if (!this.parts.path.removeProtection(id)) {
      const uses = this.parts.path.protectionUses(id);
      throw new SluiceError('failed_precondition', `${uses} FARs and PDRs refer to it`, {
        field: 'id',
      });
    }
    this.#kept.delete(id);
    this.#stored.remove(kept);
    this.#stored.putList(this.#kept.keys());
    await this.#stored.commit();
    await this.#settle();
  }

  /** Into the store, then into the packet path: what it uses is known to the store before. */
  async #change(kept: KeptProtection, asked: AskedProtection): Promise<void> {
    const before = this.#kept.get(kept.terms.id);
    const { next, secrets } = await this.#changes.of(kept, asked);
    const used = next.outbound.map(({ use }) => use);
    for (const association of this.#sealing(next)) {
      if (secrets.has(association)) association.use = withBlock(next.terms, association.use);
    }
    this.#kept.set(next.terms.id, next);
    this.#stored.put(next);
    this.#stored.putList(this.#kept.keys());
    try {
      await this.#stored.commit();
    } catch (error) {
      this.#forget(next, before);
      throw error;
    }
    try {
      this.#bringIn(next, used, secrets);
    } catch (error) {
      await this.#takeBack(next, before);
      throw refusedByPath(error);
    }
    await this.#settle();
  }

  #forget(next: KeptProtection, before: KeptProtection | undefined): void {
    if (before === undefined) this.#kept.delete(next.terms.id);
    else this.#kept.set(next.terms.id, before);
  }

  /** What the packet path has no room for must not be in the store: the next start would fail. */
  async #takeBack(next: KeptProtection, before: KeptProtection | undefined): Promise<void> {
    this.#forget(next, before);
    if (before === undefined) this.#stored.withdraw(next);
    else this.#stored.put(before);
    this.#stored.putList(this.#kept.keys());
    await this.#stored.commit();
  }

  #bringIn(kept: KeptProtection, used: readonly AssociationUse[], secrets: Secrets): void {
    const { terms } = kept;
    const settings = (association: KeptAssociation, soFar: AssociationUse): AssociationSettings => {
      const secret = secrets.get(association) ?? NO_SECRET;
      return {
        spi: association.spi,
        key: secret.subarray(0, KEY_BYTES),
        salt: secret.subarray(KEY_BYTES, KEY_BYTES + SALT_BYTES),
        authKey: secret.subarray(KEY_BYTES + SALT_BYTES).subarray(0, AUTH_KEY_BYTES),
        used: soFar,
        allowed: association.use,
      };
    };
    try {
      this.parts.path.setProtection({
        number: terms.id,
        local: terms.local,
        peer: terms.peer,
        ports: this.parts.ports(terms),
        inUdp: terms.inUdp,
        suite: terms.suite,
        extendedSequence: !terms.shortSequence,
        window: terms.window,
        packetsSoft: softOf(terms.lifetime.softPackets, terms.lifetime.hardPackets),
        packetsHard: terms.lifetime.hardPackets,
        bytesSoft: softOf(terms.lifetime.softBytes, terms.lifetime.hardBytes),
        bytesHard: terms.lifetime.hardBytes,
        outbound: kept.outbound.map((one, position) => settings(one, used[position]!)),
        inbound: kept.inbound.map((one) => settings(one, one.use)),
      });
    } finally {
      for (const secret of secrets.values()) secret.fill(0);
    }
  }

  async #settle(): Promise<void> {
    while (!this.parts.path.protectionsSettled()) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    }
  }

  /** Without those that wait for a node of more workers, of which nothing is used. */
  #sealing({ outbound }: KeptProtection): readonly KeptAssociation[] {
    return outbound.slice(0, this.parts.workers);
  }

  #known(id: number): KeptProtection {
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    throw new SluiceError('not_found', `there is no protection ${id}`, { field: 'id' });
  }

  /** @param asked  whose secrets are wiped when it is done */
  #enqueue<T>(work: () => Promise<T>, asked?: AskedProtection): Promise<T> {
    const done = this.#last.then(work).finally(() => {
      for (const { secret } of [...(asked?.outbound ?? []), ...(asked?.inbound ?? [])]) {
        secret?.fill(0);
      }
    });
    this.#last = done.catch(() => {});
    return done;
  }
}

const EVENT_TEXTS = {
  rekeying_wanted: 'it is time for new keys',
  expired: 'an association has reached its hard lifetime and seals no more',
  not_genuine: 'packets whose integrity check fails come at a rate that is an alarm',
  replayed: 'packets are replayed at a rate that is an alarm',
  unknown_spi: 'packets with unknown SPIs come at a rate that is an alarm',
} as const;

/** New keys are wanted before a hard lifetime is over, also where nobody has said when. */
function softOf(soft: bigint, hard: bigint): bigint {
  return soft === 0n ? hard - hard / 10n : soft;
}

/** The packet path names the field that it has no room for. */
function refusedByPath(error: unknown): unknown {
  if (!(error instanceof Error) || !('field' in error)) return error;
  const field = `protection.${String(error.field)}`;
  return new SluiceError('resource_exhausted', error.message, { field });
}
