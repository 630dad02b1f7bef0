/** Protections over a packet path and a store in memory, and what somebody asks of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../base/log.js';
import { MemoryProtections } from '../datapath/memory/protections.js';
import type { AssociationSettings } from '../datapath/protection-path.js';
import { MemoryStore, MemoryStoreContents } from '../store/memory.js';
import { NodeKeyFile } from './node-key.js';
import { type AssociationMessage, askedProtection, type ProtectionMessage } from './protection.js';
import { Protections, type ProtectionView } from './protections.js';

export const WORKERS = 2;
/** Those that carry any protection. */
export const PORTS = 0b101;
const NO_PORT = { field: 'local_address', message: 'no port carries it' };

export class ProtectingNode {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-protection-'));
  readonly contents = new MemoryStoreContents();
  path = new MemoryProtections();
  unknownSpis = 0;
  protections = this.open();

  open(store = new MemoryStore(this.contents)): Protections {
    return new Protections({
      path: this.path,
      store,
      wrap: new NodeKeyFile(join(this.folder, 'node.key')),
      workers: WORKERS,
      obstacle: ({ local }) => (local === '10.9.9.9' ? NO_PORT : undefined),
      ports: () => PORTS,
      unknownSpis: () => this.unknownSpis,
      alarmPacketsPerSecond: 10,
      log: silentLog(),
      now: () => 1_700_000_000_000,
    });
  }
  /** A process after this one, whose packet path is empty. */
  async restarted(): Promise<Protections> {
    this.path = new MemoryProtections();
    const next = this.open();
    await next.restore();
    return next;
  }
  end(): void {
    rmSync(this.folder, { recursive: true });
  }

  create(change?: Partial<ProtectionMessage>, of = this.protections): Promise<ProtectionView> {
    return of.create(askedProtection(message(change), WORKERS));
  }
  update(change?: Partial<ProtectionMessage>, revision = 0n): Promise<ProtectionView> {
    return this.protections.update(askedProtection(message(change), WORKERS), revision);
  }
  outbound(): readonly AssociationSettings[] {
    return this.path.protections.get(1)!.outbound;
  }
}

export function association(spi: number, key = spi): AssociationMessage {
  const none = new Uint8Array(0);
  return { spi, key: Buffer.alloc(16, key), salt: Buffer.alloc(4, key), authenticationKey: none };
}
export function message(change: Partial<ProtectionMessage> = {}): ProtectionMessage {
  return {
    id: 1,
    description: 'to the anchor',
    suite: 'PROTECTION_SUITE_SM4_GCM_16',
    localAddress: '10.0.0.1',
    peerAddress: '10.0.0.2',
    udpEncapsulation: true,
    shortSequence: false,
    replayWindow: 0,
    lifetime: null,
    outbound: [association(1001), association(1002)],
    inbound: [association(2001), association(2002)],
    ...change,
  };
}
