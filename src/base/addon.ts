/** Where the addon is, and a clear word when it is not there. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let loaded: unknown;

/** Loads build/addon/sluice.node once; throws an Error that says how to build it. */
export function loadAddon(): unknown {
  if (loaded !== undefined) return loaded;
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  const file = join(folder, 'build', 'addon', 'sluice.node');
  if (!existsSync(file)) {
    throw new Error(`the native part is not built (${file}); run "npm run build"`);
  }
  loaded = createRequire(import.meta.url)(file);
  return loaded;
}
