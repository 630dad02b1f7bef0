/**
 * What a protection is to the control plane, and the checks of one that somebody asks for. Secrets
 * are apart from all else, so that nothing that is kept or shown has them. Pure; any thread.
 */
import { isIP } from 'node:net';
import { addressBits } from '../base/config/prefix.js';
import { SluiceError } from '../base/errors.js';
import { EspSuite } from '../datapath/protection-path.js';
import { PROTECTION_MAX } from '../model/record-layout.js';

export interface Lifetime {
  /** 0n: no limit */
  readonly softPackets: bigint;
  readonly hardPackets: bigint;
  readonly softBytes: bigint;
  readonly hardBytes: bigint;
}

/** What stays as it was made. */
export interface ProtectionTerms {
  readonly id: number;
  readonly description: string;
  readonly suite: EspSuite;
  readonly local: string;
  readonly peer: string;
  readonly inUdp: boolean;
  readonly shortSequence: boolean;
  readonly window: number;
  readonly lifetime: Lifetime;
}

/** Key, salt and authentication key, one behind the other; those that the suite has not are zeros. */
export type Secret = Uint8Array<ArrayBuffer>;

export interface AskedAssociation {
  readonly spi: number;
  /** Undefined: none was given, which is right for an SPI that stays. */
  readonly secret: Secret | undefined;
}

export interface AskedProtection {
  readonly terms: ProtectionTerms;
  readonly outbound: readonly AskedAssociation[];
  readonly inbound: readonly AskedAssociation[];
}

export const KEY_BYTES = 16;
export const SALT_BYTES = 4;
export const AUTH_KEY_BYTES = 32;
export const SECRET_BYTES = KEY_BYTES + SALT_BYTES + AUTH_KEY_BYTES;
/** Of one direction. */
export const ASSOCIATIONS_MAX = 64;
const DESCRIPTION_MAX = 256;
/** Those below are reserved (RFC 4303 clause 2.1). */
const SPI_MIN = 256;
const WINDOW_DEFAULT = 1024;
const WINDOW_MIN = 64;
const WINDOW_MAX = 4096;

export const SUITES: Readonly<Record<string, EspSuite>> = {
  PROTECTION_SUITE_SM4_GCM_16: EspSuite.Sm4Gcm16,
  PROTECTION_SUITE_SM4_CBC_HMAC_SM3_96: EspSuite.Sm4CbcSm3_96,
  PROTECTION_SUITE_SM4_CBC_HMAC_SM3_128: EspSuite.Sm4CbcSm3_128,
  PROTECTION_SUITE_SM4_CBC_HMAC_SM3_256: EspSuite.Sm4CbcSm3_256,
};

/** As the API has it (proto/sluice/v1/sluice.proto); 64-bit numbers are texts. */
export interface ProtectionMessage {
  readonly id: number;
  readonly description: string;
  readonly suite: string;
  readonly localAddress: string;
  readonly peerAddress: string;
  readonly udpEncapsulation: boolean;
  readonly shortSequence: boolean;
  readonly replayWindow: number;
  readonly lifetime: Readonly<Record<keyof Lifetime, string>> | null;
  readonly outbound: readonly AssociationMessage[];
  readonly inbound: readonly AssociationMessage[];
}
export interface AssociationMessage {
  readonly spi: number;
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  readonly authenticationKey: Uint8Array;
}

export function invalid(field: string, message: string): SluiceError {
  return new SluiceError('invalid_argument', message, { field: `protection.${field}` });
}

/**
 * @param workers  of the node: as many outbound associations it needs
 * @throws SluiceError invalid_argument on the field that is at fault
 */
export function askedProtection(
  message: ProtectionMessage | null | undefined,
  workers: number,
): AskedProtection {
  if (message === null || message === undefined) {
    const field = 'protection';
    throw new SluiceError('invalid_argument', 'must be given', { field });
  }
  const terms = termsOf(message);
  return {
    terms,
    outbound: outboundOf(message, terms.suite, workers),
    inbound: associationsOf(message.inbound, 'inbound', terms.suite),
  };
}

function termsOf(message: ProtectionMessage): ProtectionTerms {
  const suite = SUITES[message.suite];
  if (message.id < 1 || message.id > PROTECTION_MAX) {
    throw invalid('id', `must be from 1 to ${PROTECTION_MAX}`);
  }
  if (message.description.length > DESCRIPTION_MAX) {
    throw invalid('description', `must have at most ${DESCRIPTION_MAX} characters`);
  }
  if (suite === undefined)
    throw invalid('suite', `must be one of ${Object.keys(SUITES).join(', ')}`);
  checkAddresses(message);
  return {
    id: message.id,
    description: message.description,
    suite,
    local: message.localAddress,
    peer: message.peerAddress,
    inUdp: message.udpEncapsulation,
    shortSequence: message.shortSequence,
    window: windowOf(message.replayWindow),
    lifetime: lifetimeOf(message.lifetime),
  };
}

function checkAddresses({ localAddress, peerAddress }: ProtectionMessage): void {
  for (const [field, text] of Object.entries({
    local_address: localAddress,
    peer_address: peerAddress,
  })) {
    if (isIP(text) === 0 || text.includes('%')) {
      throw invalid(field, 'must be an IPv4 or IPv6 address, without a zone');
    }
    if (!isOneHost(text)) throw invalid(field, 'must be the address of one host');
  }
  if (isIP(localAddress) !== isIP(peerAddress)) {
    throw invalid('peer_address', 'must be of the same family as local_address');
  }
  if (addressBits(localAddress) === addressBits(peerAddress)) {
    throw invalid('peer_address', 'must be another one than local_address');
  }
}

/** Neither unspecified nor multicast nor, over IPv4, reserved or broadcast. */
function isOneHost(address: string): boolean {
  const bits = addressBits(address);
  const isGroup = isIP(address) === 4 ? bits >> 29n === 0b111n : bits >> 120n === 0xffn;
  return bits !== 0n && !isGroup;
}

function windowOf(asked: number): number {
  const window = asked === 0 ? WINDOW_DEFAULT : asked;
  if (window >= WINDOW_MIN && window <= WINDOW_MAX && (window & (window - 1)) === 0) return window;
  throw invalid('replay_window', `must be a power of two from ${WINDOW_MIN} to ${WINDOW_MAX}`);
}

function lifetimeOf(message: ProtectionMessage['lifetime']): Lifetime {
  const softPackets = BigInt(message?.softPackets ?? 0);
  const hardPackets = BigInt(message?.hardPackets ?? 0);
  const softBytes = BigInt(message?.softBytes ?? 0);
  const hardBytes = BigInt(message?.hardBytes ?? 0);
  if (hardPackets !== 0n && softPackets > hardPackets) {
    throw invalid('lifetime.soft_packets', 'must not be beyond hard_packets');
  }
  if (hardBytes !== 0n && softBytes > hardBytes) {
    throw invalid('lifetime.soft_bytes', 'must not be beyond hard_bytes');
  }
  return { softPackets, hardPackets, softBytes, hardBytes };
}

function outboundOf(
  { outbound, inbound }: ProtectionMessage,
  suite: EspSuite,
  workers: number,
): AskedAssociation[] {
  if (outbound.length === 0 && inbound.length === 0) {
    throw invalid('outbound', 'must have an association, or inbound one');
  }
  if (outbound.length > 0 && outbound.length < workers) {
    const message = `must have ${workers} associations, one for each worker of this node`;
    throw invalid('outbound', message);
  }
  return associationsOf(outbound, 'outbound', suite);
}

function associationsOf(
  list: readonly AssociationMessage[],
  direction: 'outbound' | 'inbound',
  suite: EspSuite,
): AskedAssociation[] {
  if (list.length > ASSOCIATIONS_MAX) {
    throw invalid(direction, `must have at most ${ASSOCIATIONS_MAX} associations`);
  }
  const seen = new Set<number>();
  return list.map((association, position) => {
    const field = `${direction}[${position}]`;
    const { spi } = association;
    if (spi < SPI_MIN) throw invalid(`${field}.spi`, `must be from ${SPI_MIN} on`);
    if (seen.has(spi)) throw invalid(`${field}.spi`, 'must not be there twice');
    seen.add(spi);
    return { spi, secret: secretOf(association, field, suite) };
  });
}

function secretOf(
  { key, salt, authenticationKey }: AssociationMessage,
  field: string,
  suite: EspSuite,
): Secret | undefined {
  if (key.length + salt.length + authenticationKey.length === 0) return undefined;
  const isGcm = suite === EspSuite.Sm4Gcm16;
  const parts: [string, Uint8Array, number][] = [
    ['key', key, KEY_BYTES],
    ['salt', salt, isGcm ? SALT_BYTES : 0],
    ['authentication_key', authenticationKey, isGcm ? 0 : AUTH_KEY_BYTES],
  ];
  for (const [name, bytes, wanted] of parts) {
    if (bytes.length === wanted) continue;
    const message = wanted === 0 ? 'is none of this suite' : `must have ${wanted} bytes`;
    throw invalid(`${field}.${name}`, `${message}; it has ${bytes.length}`);
  }
  const secret = new Uint8Array(SECRET_BYTES);
  secret.set(key);
  secret.set(salt, KEY_BYTES);
  secret.set(authenticationKey, KEY_BYTES + SALT_BYTES);
  return secret;
}

export function sameTerms(a: ProtectionTerms, b: ProtectionTerms): boolean {
  const text = (terms: ProtectionTerms): string =>
    JSON.stringify(terms, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  return text(a) === text(b);
}
