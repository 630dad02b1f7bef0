// npm run man: writes docs/sluice.1 from the program's own help. Run it after a change of a
// command, an option or a help text; src/cli/help/help.test.ts tells when it was forgotten.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tsImport } from 'tsx/esm/api';
import { root } from './lib/process.mjs';

const load = (file) => tsImport(join(root, 'src', 'cli', file), import.meta.url);
const { program, version } = await load('program.ts');
const { treeOf } = await load('help/command-tree.ts');
const { manPage } = await load('help/man-page.ts');
writeFileSync(join(root, 'docs', 'sluice.1'), manPage(treeOf(program()), version()));
