import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The public API's file, relative to {@link PROTO_FOLDER} as importers write it. */
export const PROTO_FILE = 'sluice/v1/sluice.proto';
/** proto/ of the package, from the sources as well as from the compiled files. */
export const PROTO_FOLDER = path.join(packageFolder(), 'proto');

export function packageFolder(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('package.json is in no folder above this file');
    folder = parent;
  }
  return folder;
}
