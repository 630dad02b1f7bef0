/**
 * What the ports say about a network instance: which access port gives F-TEIDs their local
 * addresses, and which pools its UE addresses come from. Built once from the configuration;
 * names that no port mentions share the entry of '*'.
 */
import { parsePrefix } from '../../base/config/prefix.js';
import { sameText } from '../../model/record.js';
import type { EnginePort } from '../engine.js';
import { hashText, textWords } from '../state/name-index.js';
import { AddressPool } from './address-pool.js';

/** Local addresses of an access port; absent ones are 0 and null. */
export interface AccessAddresses {
  readonly ipv4: number;
  readonly ipv6: Uint32Array | null;
}

export interface Network {
  /** The access port that carries the instance; null: none does. */
  readonly access: AccessAddresses | null;
  /** A core port carries it. */
  readonly core: boolean;
  readonly pools4: readonly AddressPool[];
  readonly pools6: readonly AddressPool[];
}

interface NamedNetwork extends Network {
  readonly words: Uint32Array;
  readonly ref: number;
}

interface PortNetworks {
  readonly port: EnginePort;
  readonly addresses: AccessAddresses;
  readonly pools: readonly AddressPool[];
}

export class Networks {
  /** Every pool, for restore and statistics. */
  readonly pools: readonly AddressPool[];
  /** By hash, as a signed word: those are no objects to the engine of JavaScript. */
  readonly #named = new Map<number, NamedNetwork[]>();
  readonly #unnamed: Network;
  readonly #any: Network;

  constructor(ports: readonly EnginePort[]) {
    const entries = ports.map((port) => ({
      port,
      addresses: accessAddresses(port),
      pools: port.uePools.map((text) => new AddressPool(text)),
    }));
    this.pools = entries.flatMap((entry) => entry.pools);
    this.#unnamed = network(entries, () => true);
    this.#any = network(entries, (names) => names.includes('*'));
    const names = new Set(ports.flatMap((port) => port.networkInstances));
    names.delete('*');
    for (const name of names) {
      const carried = network(entries, (list) => list.includes(name) || list.includes('*'));
      const { words, ref } = textWords(name);
      const hash = hashText(words, 0, ref, 0) | 0;
      const same = this.#named.get(hash) ?? [];
      same.push({ ...carried, words, ref });
      this.#named.set(hash, same);
    }
  }

  /** The network of an instance in a record; an absent one (ref 0) is any port's. */
  find(words: Uint32Array, base: number, ref: number): Network {
    if (ref === 0) return this.#unnamed;
    const named = this.#named.get(hashText(words, base, ref, 0) | 0);
    if (named !== undefined) {
      for (const one of named) {
        if (sameText(one.words, 0, one.ref, words, base, ref)) return one;
      }
    }
    return this.#any;
  }
}

function network(
  entries: readonly PortNetworks[],
  carries: (instances: readonly string[]) => boolean,
): Network {
  const carrying = entries.filter((entry) => carries(entry.port.networkInstances));
  const access = carrying.find((entry) => entry.port.role === 'access');
  const core = carrying.filter((entry) => entry.port.role === 'core');
  const pools = core.flatMap((entry) => entry.pools);
  return {
    access: access === undefined ? null : access.addresses,
    core: core.length > 0,
    pools4: pools.filter((pool) => pool.family === 4),
    pools6: pools.filter((pool) => pool.family === 6),
  };
}

function accessAddresses(port: EnginePort): AccessAddresses {
  let ipv4 = 0;
  let ipv6: Uint32Array | null = null;
  for (const text of port.addresses) {
    const v4 = parsePrefix(`${text}/32`);
    const v6 = parsePrefix(`${text}/128`);
    if (v6 !== undefined && v6.family === 6) ipv6 ??= wordsOf(v6.bits);
    else if (v4 !== undefined && ipv4 === 0) ipv4 = Number(v4.bits);
  }
  return { ipv4, ipv6 };
}

function wordsOf(address: bigint): Uint32Array {
  return Uint32Array.from([96n, 64n, 32n, 0n], (shift) =>
    Number((address >> shift) & 0xffff_ffffn),
  );
}
