/**
 * Packet flow descriptions that peers have provisioned, by peer and application ID; kept in
 * the store. Flow descriptions are for rules to use; domain names, URLs and custom contents
 * are kept, and make the application unusable for rules until packets can be matched by them.
 * Source: TS 29.244 clauses 7.4.3 and 8.2.39. Thread: the control thread.
 */
import type { Store } from '../../store/store.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import type { MessageReader } from '../codec/message-reader.js';
import type { Application, Applications } from '../peer.js';
import { readPfdContents } from './pfd-contents.js';

const NAME = 'n4.pfds';
const VERSION = 1;
/** Of all peers together. */
export const PFD_BYTES_MAX = 4 * 1024 * 1024;
export const APPLICATIONS_MAX = 16_384;

interface Provisioned extends Application {
  /** Values of the PFD Contents IEs as they came. */
  readonly contents: readonly Uint8Array[];
}

/** The applications of one peer. */
class PeerApplications implements Applications {
  readonly byId = new Map<string, Provisioned>();

  find(bytes: Uint8Array, start: number, length: number): Application | undefined {
    return this.byId.get(idText(bytes, start, length));
  }
}

export class PfdTable {
  readonly #peers = new Map<string, PeerApplications>();

  constructor(private readonly store: Pick<Store, 'getMeta' | 'putMeta' | 'commit'>) {}

  /** What a peer has provisioned; null: nothing. */
  of(nodeId: string): Applications | null {
    return this.#peers.get(nodeId) ?? null;
  }
  count(nodeId: string): number {
    return this.#peers.get(nodeId)?.byId.size ?? 0;
  }

  /**
   * A PFD Management Request: all of it is taken in, or nothing. Returns the Cause; another
   * than "accepted" comes with the offending IE.
   */
  provision(nodeId: string, reader: MessageReader): { cause: number; offendingIe: number } {
    const changes = new Map<string, Provisioned | undefined>();
    const first = reader.find(-1, Ie.ApplicationIdsPfds);
    for (let ie = first; ie >= 0; ie = reader.findNext(-1, ie, Ie.ApplicationIdsPfds)) {
      const id = reader.find(ie, Ie.ApplicationId);
      if (id < 0) return { cause: Cause.MandatoryIeMissing, offendingIe: Ie.ApplicationId };
      const contents = contentsOf(reader, ie);
      const application = applicationOf(contents);
      if (application === undefined) {
        return { cause: Cause.MandatoryIeIncorrect, offendingIe: Ie.PfdContents };
      }
      const text = idText(reader.bytes, reader.valueAt[id]!, reader.valueLength[id]!);
      changes.set(text, contents.length === 0 ? undefined : application);
    }
    const byId = first < 0 ? new Map<string, Provisioned>() : this.#changed(nodeId, changes);
    if (!this.#fits(nodeId, byId)) return { cause: Cause.NoResources, offendingIe: 0 };
    this.#replace(nodeId, byId);
    return { cause: Cause.Accepted, offendingIe: 0 };
  }

  /** The peer is gone. */
  forget(nodeId: string): boolean {
    return this.#peers.delete(nodeId);
  }

  /** What the last run had; what can't be read is nothing. */
  load(): void {
    const value = this.store.getMeta(NAME);
    if (value === undefined) return;
    let stored: { version: number; peers: Record<string, Record<string, string[]>> };
    try {
      stored = JSON.parse(Buffer.from(value).toString());
    } catch {
      return;
    }
    if (stored.version !== VERSION) return;
    for (const [nodeId, applications] of Object.entries(stored.peers)) {
      const byId = new Map<string, Provisioned>();
      for (const [id, contents] of Object.entries(applications)) {
        const application = applicationOf(contents.map((text) => Buffer.from(text, 'base64')));
        if (application !== undefined) byId.set(id, application);
      }
      this.#replace(nodeId, byId);
    }
  }

  save(): Promise<void> {
    const peers = Object.fromEntries(
      [...this.#peers].map(([nodeId, { byId }]) => [
        nodeId,
        Object.fromEntries(
          [...byId].map(([id, { contents }]) => [
            id,
            contents.map((bytes) => Buffer.from(bytes).toString('base64')),
          ]),
        ),
      ]),
    );
    this.store.putMeta(NAME, Buffer.from(JSON.stringify({ version: VERSION, peers })));
    return this.store.commit();
  }

  #changed(
    nodeId: string,
    changes: ReadonlyMap<string, Provisioned | undefined>,
  ): Map<string, Provisioned> {
    const byId = new Map(this.#peers.get(nodeId)?.byId);
    for (const [id, application] of changes) {
      if (application === undefined) byId.delete(id);
      else byId.set(id, application);
    }
    return byId;
  }

  #fits(nodeId: string, byId: ReadonlyMap<string, Provisioned>): boolean {
    let count = byId.size;
    let bytes = bytesOf(byId);
    for (const [other, applications] of this.#peers) {
      if (other === nodeId) continue;
      count += applications.byId.size;
      bytes += bytesOf(applications.byId);
    }
    return count <= APPLICATIONS_MAX && bytes <= PFD_BYTES_MAX;
  }

  /** In place, so that who holds a peer's applications sees the new ones. */
  #replace(nodeId: string, byId: ReadonlyMap<string, Provisioned>): void {
    if (byId.size === 0) {
      this.#peers.get(nodeId)?.byId.clear();
      this.#peers.delete(nodeId);
      return;
    }
    const applications = this.#peers.get(nodeId) ?? new PeerApplications();
    applications.byId.clear();
    for (const [id, application] of byId) applications.byId.set(id, application);
    this.#peers.set(nodeId, applications);
  }
}

function contentsOf(reader: MessageReader, application: number): Uint8Array[] {
  const contents: Uint8Array[] = [];
  let context = reader.find(application, Ie.PfdContext);
  for (; context >= 0; context = reader.findNext(application, context, Ie.PfdContext)) {
    let ie = reader.find(context, Ie.PfdContents);
    for (; ie >= 0; ie = reader.findNext(context, ie, Ie.PfdContents)) {
      const at = reader.valueAt[ie]!;
      contents.push(reader.bytes.slice(at, at + reader.valueLength[ie]!));
    }
  }
  return contents;
}

/** undefined: a value is cut short. */
function applicationOf(contents: readonly Uint8Array[]): Provisioned | undefined {
  const flows: Uint8Array[] = [];
  let isUnmatchable = false;
  for (const bytes of contents) {
    const read = readPfdContents(bytes);
    if (read === undefined) return undefined;
    flows.push(...read.flows);
    isUnmatchable ||= read.hasOther;
  }
  return { flows, isUnmatchable, contents };
}

function bytesOf(byId: ReadonlyMap<string, Provisioned>): number {
  let bytes = 0;
  for (const { contents } of byId.values()) {
    for (const value of contents) bytes += value.length;
  }
  return bytes;
}

function idText(bytes: Uint8Array, start: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');
}
