// npm run n4-doc: writes the tables of docs/N4.md from the table of the PFCP codec. Run it after
// a change of that table; test/n4-doc.test.ts tells when it was forgotten.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tsImport } from 'tsx/esm/api';
import { root } from './lib/process.mjs';

const file = join(root, 'docs', 'N4.md');
const source = join(root, 'src', 'n4', 'codec', 'document.ts');
const { tablesOfProtocol } = await tsImport(source, import.meta.url);
const marks = /(<!-- tables: begin -->\n).*(<!-- tables: end -->)/s;
const tables = tablesOfProtocol();
writeFileSync(
  file,
  readFileSync(file, 'utf8').replace(marks, (_, from, to) => from + tables + to),
);
