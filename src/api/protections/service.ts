/**
 * ProtectionService: tunnels protected with SM4, from the message to src/protection and back. All
 * of it runs on the control thread; secrets of a request are wiped as soon as they are copied.
 */
import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { AssociationStatus } from '../../datapath/protection-path.js';
import {
  type AskedProtection,
  askedProtection,
  type ProtectionMessage,
  SUITES,
} from '../../protection/protection.js';
import type { ProtectionEvent } from '../../protection/protection-watch.js';
import type { Protections, ProtectionView } from '../../protection/protections.js';
import { timestamp, unary } from '../object-service.js';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1000;
/** Events that a slow reader may be behind. */
const WAITING_MAX = 1000;

interface ChangeRequest {
  readonly protection: ProtectionMessage | null;
  readonly expectedRevision?: string;
}

/** @param closing aborts when the server drains: streams end then. */
export function protectionService(
  protections: Protections,
  workers: number,
  closing: AbortSignal,
  log: Log,
): UntypedServiceImplementation {
  const asked = ({ protection }: ChangeRequest): AskedProtection => {
    try {
      return askedProtection(protection, workers);
    } finally {
      wipe(protection);
    }
  };
  return {
    CreateProtection: unary(
      async (request: ChangeRequest) => messageOf(await protections.create(asked(request))),
      log,
    ),
    UpdateProtection: unary(async (request: ChangeRequest) => {
      const revision = BigInt(request.expectedRevision ?? 0);
      return messageOf(await protections.update(asked(request), revision));
    }, log),
    GetProtection: unary(({ id }: { id: number }) => messageOf(protections.get(id)), log),
    ListProtections: unary((request: ListRequest) => listed(protections, request), log),
    DeleteProtection: unary(async ({ id }: { id: number }) => {
      await protections.delete(id);
      return {};
    }, log),
    WatchProtections: (call: ServerWritableStream<unknown, object>) => {
      watchProtections(call, protections, closing);
    },
  };
}

/** What the request's bytes had is in the hands of the one who asked them to be checked. */
function wipe(protection: ProtectionMessage | null): void {
  for (const list of [protection?.outbound ?? [], protection?.inbound ?? []]) {
    for (const { key, salt, authenticationKey } of list) {
      for (const secret of [key, salt, authenticationKey]) secret.fill(0);
    }
  }
}

interface ListRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

function listed(protections: Protections, { pageSize, pageToken }: ListRequest): object {
  if (!/^\d{0,5}$/.test(pageToken)) {
    const field = 'page_token';
    throw new SluiceError('invalid_argument', 'must be one that this call gave', { field });
  }
  const size = Math.min(pageSize === 0 ? PAGE_DEFAULT : pageSize, PAGE_MAX);
  const page = protections.list(Number(pageToken), size + 1);
  const shown = page.slice(0, size);
  const last = shown.at(-1);
  return {
    protections: shown.map(messageOf),
    nextPageToken: page.length > size && last !== undefined ? String(last.kept.terms.id) : '',
    total: protections.count,
  };
}

const SUITE_NAMES = new Map(Object.entries(SUITES).map(([name, suite]) => [suite, name]));

function messageOf({ kept, status, references }: ProtectionView): object {
  const { terms } = kept;
  const { softPackets, hardPackets, softBytes, hardBytes } = terms.lifetime;
  const rows = (outbound: boolean): object[] =>
    status.filter((row) => row.outbound === outbound).map(associationMessage);
  return {
    id: terms.id,
    description: terms.description,
    suite: SUITE_NAMES.get(terms.suite),
    localAddress: terms.local,
    peerAddress: terms.peer,
    udpEncapsulation: terms.inUdp,
    shortSequence: terms.shortSequence,
    replayWindow: terms.window,
    lifetime: {
      softPackets: String(softPackets),
      hardPackets: String(hardPackets),
      softBytes: String(softBytes),
      hardBytes: String(hardBytes),
    },
    outbound: rows(true),
    inbound: rows(false),
    revision: kept.revision,
    references,
    createTime: timestamp(kept.createTimeMs),
  };
}

function associationMessage(row: AssociationStatus): object {
  return {
    spi: row.spi,
    sequenceNumber: String(row.number),
    packets: String(row.packets),
    bytes: String(row.bytes),
    replayed: String(row.replayed),
    notGenuine: String(row.notGenuine),
    malformed: String(row.malformed),
    rekeyingWanted: row.wantsRekeying,
    expired: row.hasExpired,
  };
}

function watchProtections(
  call: ServerWritableStream<unknown, object>,
  protections: Protections,
  closing: AbortSignal,
): void {
  const waiting: object[] = [];
  let writable = true;
  const pump = (): void => {
    while (writable) {
      const event = waiting.shift();
      if (event === undefined) return;
      writable = call.write(event);
    }
  };
  const end = (): void => {
    stop();
    call.end();
  };
  const unwatch = protections.watch((event) => {
    if (waiting.length < WAITING_MAX) waiting.push(eventMessage(event));
    pump();
  });
  const stop = (): void => {
    unwatch();
    closing.removeEventListener('abort', end);
  };
  call.on('drain', () => {
    writable = true;
    pump();
  });
  call.on('cancelled', stop);
  call.on('error', stop);
  closing.addEventListener('abort', end);
  // So that the caller knows that it sees everything from now on.
  call.sendMetadata(new Metadata());
}

function eventMessage({ timeMs, id, spi, kind, packets }: ProtectionEvent): object {
  return {
    time: timestamp(timeMs),
    id,
    spi,
    kind: `PROTECTION_EVENT_KIND_${kind.toUpperCase()}`,
    packets,
  };
}
