/**
 * Many sessions of a peer at once: removes all of them, or those of sets (FQ-CSIDs), and finds
 * those with applications. Works in slices, so that other peers are served meanwhile.
 * Owner: the control thread.
 */
import { createTime } from '../../model/record.js';
import * as layout from '../../model/record-layout.js';
import type { RecordPlace, ScanOrder, SessionEngine } from '../../session/engine.js';
import * as Ie from '../codec/ie.js';
import { FSeid, readFSeid } from '../codec/values/f-seid.js';
import type { Peer } from '../peer.js';
import { type PeerAddress, sameAddress } from '../peers/peer-address.js';
import type { IeTree } from '../rules/ie-tree.js';
import { ShadowReader } from './shadow-reader.js';

/** Sessions that are looked at, or deleted, in one turn. */
const SLICE = 512;
/** Passes without progress before it is given up: the store fails to remove what is left. */
const VAIN_MAX = 3;
/** One slice is in the store while the packet path does the next. */
const SLICES_UNDER_WAY = 2;
const CSID_OCTETS = 2;

export class SessionSweep {
  readonly #low = new Uint32Array(SLICE);
  readonly #high = new Uint32Array(SLICE);
  readonly #shadow = new ShadowReader();
  readonly #cp = new FSeid();

  constructor(private readonly engine: SessionEngine) {}

  /**
   * Those that were made before that time, which the engine's creation.divide() gave, but for
   * those whose CP F-SEID has one of the addresses `retained`.
   */
  async all(owner: string, before: number, retained: readonly PeerAddress[] = []): Promise<number> {
    const wanted = (place: RecordPlace) => this.#isGivenUp(place, before, retained);
    this.engine.creation.divideAt(before);
    let deleted = 0;
    let order: ScanOrder = 'store';
    for (let vain = 0; vain < VAIN_MAX; ) {
      const { found, done } = await this.#pass(owner, wanted, order);
      if (found === 0 && order === 'table') break;
      // What the store does not have yet is left.
      if (found === 0) order = 'table';
      deleted += done;
      vain = done === 0 ? vain + 1 : 0;
    }
    return deleted;
  }

  /** Once through all: what comes behind the place where it is then is for the next pass. */
  async #pass(
    owner: string,
    wanted: (place: RecordPlace) => boolean,
    order: ScanOrder,
  ): Promise<{ found: number; done: number }> {
    let found = 0;
    let done = 0;
    let failure: unknown;
    const underWay: Promise<number>[] = [];
    for (let from = 0; from >= 0 || underWay.length > 0; ) {
      if (from < 0 || underWay.length === SLICES_UNDER_WAY) done += (await underWay.shift()) ?? 0;
      if (from < 0) continue;
      const { count, next } = this.#gather(owner, from, wanted, order);
      found += count;
      from = failure === undefined ? next : -1;
      const deleted = this.#delete(owner, count).catch((error: unknown) => {
        failure = error;
        return 0;
      });
      underWay.push(deleted);
    }
    if (failure !== undefined) throw failure;
    return { found, done };
  }

  /** Whether there is one that is not of the past. */
  any(peer: Peer): boolean {
    const isOfNow = (place: RecordPlace) => !this.isOfPast(peer, place);
    for (let from = 0; from >= 0; ) {
      const { count, next } = this.#gather(peer.owner, from, isOfNow);
      if (count > 0) return true;
      from = next;
    }
    return false;
  }

  /** Of the peer from before its restart: it is being given up. */
  isOfPast({ givenUpBefore, retained }: Peer, place: RecordPlace): boolean {
    return this.#isGivenUp(place, givenUpBefore, retained);
  }

  /** Sessions with one of the request's FQ-CSIDs. */
  async sets(owner: string, request: IeTree): Promise<number> {
    const sets = csidsOf(request);
    let deleted = 0;
    for (let from = 0; from >= 0 && sets.size > 0; ) {
      const found = this.#gather(owner, from, (place) => this.#isOf(place, sets));
      deleted += await this.#delete(owner, found.count);
      from = found.next;
    }
    return deleted;
  }

  /** Shows sessions that have PDRs of an application. */
  async withApplications(
    owner: string,
    visit: (seidLow: number, seidHigh: number) => void,
  ): Promise<void> {
    for (let from = 0; from >= 0; ) {
      const found = this.#gather(owner, from, (place) => this.#hasApplication(place));
      for (let i = 0; i < found.count; i++) visit(this.#low[i]!, this.#high[i]!);
      from = found.next;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #gather(
    owner: string,
    from: number,
    wanted: (place: RecordPlace) => boolean,
    order: ScanOrder = 'table',
  ): { count: number; next: number } {
    let count = 0;
    let looks = 0;
    const visit = (place: RecordPlace): boolean => {
      if (wanted(place)) {
        this.#low[count] = place.words[place.start + layout.HEADER_SEID_LOW]!;
        this.#high[count] = place.words[place.start + layout.HEADER_SEID_HIGH]!;
        count++;
      }
      return ++looks < SLICE;
    };
    const next = this.engine.scan(owner, from, visit, order);
    return { count, next };
  }

  #delete(owner: string, count: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (count === 0) {
        setImmediate(resolve, 0);
        return;
      }
      try {
        const batch = this.engine.openBatch(owner, (done) => {
          let deleted = 0;
          for (let i = 0; i < done.count; i++) if (done.error(i) === undefined) deleted++;
          resolve(deleted);
        });
        for (let i = 0; i < count; i++) batch.deleteBySeid(this.#low[i]!, this.#high[i]!);
        batch.submit();
      } catch (error) {
        reject(error as Error);
      }
    });
  }

  #isGivenUp(place: RecordPlace, before: number, retained: readonly PeerAddress[]): boolean {
    if (createTime(place.words, place.start) >= before) return false;
    return retained.length === 0 || !this.#isControlledFrom(place, retained);
  }

  /** The CP F-SEID has one of these addresses. */
  #isControlledFrom(place: RecordPlace, addresses: readonly PeerAddress[]): boolean {
    if (!this.#shadow.read(place)) return false;
    const { reader } = this.#shadow;
    const cp = this.#cp;
    const ie = reader.find(-1, Ie.FSeid);
    if (ie < 0 || !readFSeid(reader, ie, cp)) return false;
    return addresses.some((one) =>
      one.family === 4
        ? cp.hasIpv4 && one.words[0] === cp.ipv4
        : cp.hasIpv6 && sameAddress(one, 6, cp.ipv6, 0),
    );
  }

  #isOf(place: RecordPlace, sets: ReadonlySet<string>): boolean {
    if (!this.#shadow.read(place)) return false;
    for (const set of csidsOf(this.#shadow.reader)) if (sets.has(set)) return true;
    return false;
  }

  #hasApplication(place: RecordPlace): boolean {
    if (!this.#shadow.read(place)) return false;
    const { ieType, count } = this.#shadow.reader;
    for (let ie = 0; ie < count; ie++) if (ieType[ie] === Ie.ApplicationId) return true;
    return false;
  }
}

/** Each set as node address and CSID, in hexadecimal digits. Source: TS 29.244 clause 8.2.46. */
function csidsOf(tree: IeTree): Set<string> {
  const sets = new Set<string>();
  for (let ie = 0; ie < tree.count; ie = tree.ieEnd[ie]!) {
    const length = tree.valueLength[ie]!;
    if (tree.ieType[ie] !== Ie.FqCsid || length < 1) continue;
    const at = tree.valueAt[ie]!;
    const value = Buffer.from(tree.bytes.buffer, tree.bytes.byteOffset + at, length);
    const nodeOctets = [4, 16, 4][value[0]! >>> 4] ?? 0;
    const node = value.toString('hex', 1, 1 + nodeOctets);
    const count = value[0]! & 15;
    for (let i = 0; i < count; i++) {
      const from = 1 + nodeOctets + i * CSID_OCTETS;
      if (from + CSID_OCTETS > length) break;
      sets.add(`${node}.${value.toString('hex', from, from + CSID_OCTETS)}`);
    }
  }
  return sets;
}
