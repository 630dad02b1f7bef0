/**
 * What others reach with SM4 and SM3 in the same run, in cycles a byte, under the names of our own
 * rows with `peer/` and the other's name in front:
 *
 * peer/{node-crypto|sm-crypto-v2}/{sm4/{ctr|cbc-enc|cbc-dec|gcm}|sm3}/{1400B|16KiB}   called from JavaScript
 * peer/{openssl|libgcrypt}/…                                           from C: native/bench/peers
 *
 * Each has what it can do. The native ones need libssl-dev and libgcrypt20-dev when the bench is built.
 * How many times what our kernels take each of them does is said at the end, by turns with ours.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nativeCrypto } from '../src/crypto/native.js';
import { measure } from '../src/tools/crypto/speed/measure.js';
import { NODE_CRYPTO, opponentsOf, SM_CRYPTO } from '../src/tools/crypto/speed/opponents.js';
import { tscHz } from '../src/tools/crypto/speed/speed.js';
import { runNativeBench } from './process/native-program.js';
import { type BenchOptions, type Report, summarize } from './report/report.js';
import { figure } from './report/table.js';

const peers = { 'node-crypto': NODE_CRYPTO, 'sm-crypto-v2': SM_CRYPTO };
const libraries = { openssl: 'libssl-dev', libgcrypt: 'libgcrypt20-dev' };
export const families = [...Object.keys(peers), ...Object.keys(libraries)].map(
  (peer) => `peer/${peer}/`,
);

const sizes = { '1400B': 1400, '16KiB': 16_384 };
/** Our names of what is measured, by those of `sluice crypto speed`. */
const modes = {
  'sm4-ctr': 'sm4/ctr',
  'sm4-cbc-encrypt': 'sm4/cbc-enc',
  'sm4-cbc-decrypt': 'sm4/cbc-dec',
  'sm4-gcm': 'sm4/gcm',
  sm3: 'sm3',
};

/** Only where the headers of one of them were there when it was built. */
const native = fileURLToPath(new URL('../../build-bench/sluice_crypto_peers', import.meta.url));

export default async function cryptoPeersBench(
  report: Report,
  options: BenchOptions,
): Promise<void> {
  const found = new Map<string, number>();
  const take: Report = (result) => {
    found.set(result.name, result.value);
    report(result);
  };
  if (existsSync(native)) {
    await runNativeBench(
      native,
      ['--json', ...(options.quick ? ['--quick'] : [])],
      undefined,
      take,
    );
  }
  for (const [library, name] of Object.entries(libraries)) {
    const isThere = [...found.keys()].some((row) => row.startsWith(`peer/${library}/`));
    if (!isThere) options.say(`no ${library} here: apt-get install ${name}, and a new build`);
  }
  for (const [mode, ours] of Object.entries(modes)) {
    for (const [size, bytes] of Object.entries(sizes)) {
      const what = `${ours}/${size}`;
      if (!families.some((family) => options.wanted(`${family}${what}`))) continue;
      const cycles = fromJavaScript(mode, bytes, what, take, options);
      options.say(`${what}: ${comparison(what, cycles, found)}`);
    }
  }
}

/** Measures the peers in JavaScript and our kernels by turns. @returns cycles a byte of our kernels */
function fromJavaScript(
  mode: string,
  bytes: number,
  what: string,
  report: Report,
  { quick }: BenchOptions,
): number {
  const kernels = nativeCrypto();
  const tier = kernels.activeTier();
  const candidates = [
    {
      by: tier,
      messages: 1,
      time: (operations: number) => kernels.timeOperations(mode, tier, bytes, operations),
    },
    ...opponentsOf(mode, bytes).filter(({ by }) => Object.values(peers).includes(by)),
  ];
  const taken = mode.startsWith('sm4-cbc') ? bytes & ~15 : bytes;
  const runs = Array.from({ length: quick ? 1 : 5 }, () => measure(candidates, quick ? 5 : 30));
  const cycles = (by: string) => runs.map((run) => (run.get(by)! * tscHz()) / 1e9 / taken);
  for (const [peer, by] of Object.entries(peers)) {
    if (!candidates.some((candidate) => candidate.by === by)) continue;
    report(summarize(`peer/${peer}/${what}`, 'cycles/byte', cycles(by)));
  }
  return summarize(what, 'cycles/byte', cycles(tier)).value;
}

/** "avx512 0.62; openssl 20.1, 32 times as long; …" */
function comparison(what: string, ours: number, found: ReadonlyMap<string, number>): string {
  const others = families.flatMap((family) => {
    const value = found.get(`${family}${what}`);
    if (value === undefined) return [];
    const name = family.slice('peer/'.length, -1);
    return [`${name} ${figure(value)}, ${figure(value / ours)} times as long`];
  });
  return [`${nativeCrypto().activeTier()} ${figure(ours)}`, ...others].join('; ');
}
