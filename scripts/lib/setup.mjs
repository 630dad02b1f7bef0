// The set-up that every command shares: system packages → node packages → native → TypeScript.

import { buildNative } from './native.mjs';
import { checkNodeVersion, ensureNodePackages } from './node-packages.mjs';
import { ensureSystemPackages } from './system-packages.mjs';
import { buildTypeScript } from './typescript.mjs';

/** Everything that must be installed before a build for these purposes. */
export async function setUp(purposes) {
  checkNodeVersion();
  await ensureSystemPackages(purposes);
  await ensureNodePackages();
}

/** Builds what `sluice` runs from: the addon in build/addon and dist/. */
export async function buildProduct() {
  await buildNative('addon');
  await buildTypeScript();
}
