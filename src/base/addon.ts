/** Where the addon is, in which tier, and a clear word when it is not there. */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SluiceError } from './errors.js';

/** A packet path compiled for processors that have these `flags` of /proc/cpuinfo. */
export interface PathTier {
  readonly tier: string;
  readonly flags: readonly string[];
}

/** Where one and the same packet path is compiled for several kinds of processors. */
export interface TierChoice {
  /** Best first, as native/tiers.json lists them. */
  readonly tiers: readonly PathTier[];
  readonly isBuilt: (tier: string) => boolean;
  /** Of this processor. */
  readonly flags: ReadonlySet<string>;
  /** SLUICE_PATH_TIER: this one and no other; empty: the best that runs. */
  readonly forced: string;
}

let loaded: { readonly addon: unknown; readonly tier: string } | undefined;

/** Loads the addon once; throws SluiceError failed_precondition that says how to build it. */
export function loadAddon(): unknown {
  return loadOnce().addon;
}

/** The tier of the packet path that {@link loadAddon} loads; throws as it does. */
export function pathTier(): string {
  return loadOnce().tier;
}

/** True when {@link loadAddon} finds an addon that runs here. */
export function hasAddon(): boolean {
  return typeof chooseTier(choiceHere()) === 'string';
}

/** The best tier that is built and that runs, or why there is none. */
export function chooseTier({ tiers, isBuilt, flags, forced }: TierChoice): string | SluiceError {
  const runs = tiers.filter((tier) => tier.flags.every((flag) => flags.has(flag)));
  const wanted = forced === '' ? runs : runs.filter(({ tier }) => tier === forced);
  const chosen = wanted.find(({ tier }) => isBuilt(tier));
  if (chosen !== undefined) return chosen.tier;
  const names = runs.map(({ tier }) => tier).join(' or ');
  if (runs.length === 0) {
    const least = tiers.at(-1)!.flags.filter((flag) => !flags.has(flag));
    return new SluiceError(
      'failed_precondition',
      `this processor lacks ${least.join(', ')}: no packet path is made for it`,
    );
  }
  if (wanted.length === 0) {
    return new SluiceError(
      'failed_precondition',
      `SLUICE_PATH_TIER is ${forced}, which is no tier that this processor runs: ${names}`,
    );
  }
  const build = forced === '' ? 'npm run build' : 'npm run build -- --every-tier';
  const which = forced === '' ? names : forced;
  return new SluiceError(
    'failed_precondition',
    `the native part is not built for this processor (${which}); run "${build}"`,
  );
}

function loadOnce(): { readonly addon: unknown; readonly tier: string } {
  if (loaded !== undefined) return loaded;
  const tier = chooseTier(choiceHere());
  if (tier instanceof SluiceError) throw tier;
  loaded = { addon: createRequire(import.meta.url)(fileOf(tier)), tier };
  return loaded;
}

function choiceHere(): TierChoice {
  const file = join(root(), 'native', 'tiers.json');
  const listed = JSON.parse(readFileSync(file, 'utf8')) as Record<'x86_64' | 'other', PathTier[]>;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  return {
    tiers: process.arch === 'x64' ? listed.x86_64 : listed.other,
    isBuilt: (tier) => existsSync(fileOf(tier)),
    flags: new Set(flags.trim().split(' ')),
    forced: process.env.SLUICE_PATH_TIER ?? '',
  };
}

const fileOf = (tier: string): string => join(root(), 'build', 'addon', `sluice-${tier}.node`);

/** The folder of the package, from where this runs, compiled or not. */
function root(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
