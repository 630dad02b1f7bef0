/**
 * `sluice protection …`: tunnels protected with SM4. A client of the API, one thread. Start at
 * addProtectionCommands.
 */
import type { Command } from 'commander';
import { usageError } from '../../tools/tool-error.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import { readMessageFile } from '../api/message-file.js';
import type { ListProtectionsResponse, Protection, ProtectionEvent } from '../api/messages.js';
import { formatTimestamp } from '../api/proto-json.js';
import { withClient } from '../api/with-client.js';
import { grouped, printJson, printLine, table } from '../print.js';
import { parseInteger } from '../units.js';
import { addPair } from './pair-command.js';
import { LIST_HEAD, listRow, protectionText } from './view.js';

const ID_MAX = 16_384;
const PAGE = 1000;

interface Output extends ApiOptions {
  json?: boolean;
}

const FILE = [
  '-f, --file <file>',
  'protections in YAML or JSON with the field names of the API, keys in hexadecimal; - reads stdin',
] as const;

export function addProtectionCommands(program: Command): void {
  const protection = program
    .command('protection')
    .description('protect tunnels with SM4: make, change and look at security associations')
    .addHelpText(
      'after',
      `
FARs refer to a protection by forward.protection_id, and what they send is sealed; PDIs by
protection_id, and take what came under it alone. See docs/SM4.md.

Examples:
  sluice protection pair --id 1 --addresses 10.0.0.1,10.0.0.2 -o n9
  sluice protection create -f n9-1.yaml
  sluice protection list`,
    );
  addCreate(protection);
  addUpdate(protection);
  addGet(protection);
  addList(protection);
  addDelete(protection);
  addWatch(protection);
  addPair(protection);
}

function addCreate(parent: Command): void {
  parent
    .command('create')
    .description('make the protections of a file')
    .requiredOption(...FILE)
    .addHelpText(
      'after',
      `
The same protection again is no error. A key seals in one association of one direction, once in
its life. "sluice protection pair" writes files for both ends.

Examples:
  sluice protection create -f n9-1.yaml`,
    )
    .action((_: unknown, own: Command) => change(own, 'CreateProtection'));
}

function addUpdate(parent: Command): void {
  parent
    .command('update')
    .description('give protections other associations: new keys beside old ones, or in their place')
    .requiredOption(...FILE)
    .addHelpText(
      'after',
      `
The file has the whole protection; only outbound and inbound may differ from what is there. An SPI
that stays goes on as it is, and its keys may be left out. To change keys without a packet lost:
add the new inbound association at both ends, put the new outbound one in the place of the old at
both ends, then take the old inbound one away.

Examples:
  sluice protection update -f n9-1.yaml`,
    )
    .action((_: unknown, own: Command) => change(own, 'UpdateProtection'));
}

async function change(own: Command, method: string): Promise<void> {
  const options = own.optsWithGlobals<Output & { file: string }>();
  await withClient(options, async (client) => {
    const done: object[] = [];
    for (const read of readMessageFile('Protection', options.file, client.json)) {
      const protection = withoutOutputs(read);
      const reply = await client.call<Protection>('ProtectionService', method, { protection });
      if (options.json !== true)
        printLine(`${done.length > 0 ? '\n' : ''}${protectionText(reply)}`);
      done.push(client.json.toJson('Protection', reply));
    }
    if (options.json === true) printJson(done.length === 1 ? done[0] : done);
  });
}

/** What "get --json" printed can be given back. */
function withoutOutputs(protection: Protection): Protection {
  const { revision: _, references: __, create_time: ___, ...asked } = protection;
  return asked;
}

function addGet(parent: Command): void {
  parent
    .command('get <id>')
    .description('show one protection and its associations; keys are never shown')
    .addHelpText('after', '\nExamples:\n  sluice protection get 1')
    .action(async (id: string, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output>();
      await withClient(options, async (client) => {
        const request = { id: idOf(id) };
        const reply = await client.call<Protection>('ProtectionService', 'GetProtection', request);
        if (options.json === true) printJson(client.json.toJson('Protection', reply));
        else printLine(protectionText(reply));
      });
    });
}

function addList(parent: Command): void {
  parent
    .command('list')
    .description('list protections')
    .addHelpText('after', '\nExamples:\n  sluice protection list --json')
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output>();
      await withClient(options, async (client) => {
        const all = await listAll(client);
        if (options.json === true) {
          printJson(all.map((protection) => client.json.toJson('Protection', protection)));
        } else {
          printLine(all.length === 0 ? 'no protections' : table(LIST_HEAD, all.map(listRow)));
        }
      });
    });
}

async function listAll(client: ApiClient): Promise<Protection[]> {
  const all: Protection[] = [];
  let page_token = '';
  do {
    const request = { page_size: PAGE, page_token };
    const page: ListProtectionsResponse = await client.call(
      'ProtectionService',
      'ListProtections',
      request,
    );
    all.push(...(page.protections ?? []));
    page_token = page.next_page_token ?? '';
  } while (page_token !== '');
  return all;
}

function addDelete(parent: Command): void {
  parent
    .command('delete <ids...>')
    .description('end protections that no rule refers to')
    .addHelpText('after', '\nExamples:\n  sluice protection delete 1')
    .action(async (ids: string[], _: unknown, own: Command) => {
      const numbers = ids.map(idOf);
      await withClient(own.optsWithGlobals<Output>(), async (client) => {
        for (const id of numbers) {
          await client.call('ProtectionService', 'DeleteProtection', { id });
          printLine(`protection ${id} is gone`);
        }
      });
    });
}

function addWatch(parent: Command): void {
  parent
    .command('watch')
    .description('print events as they come: lifetimes near their end, refused packets at a rate')
    .addHelpText(
      'after',
      `
Ends with Ctrl-C. Events are counted in /metrics and written to the node's log, too.

Examples:
  sluice protection watch --json`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output>();
      await withClient(options, (client) => watch(client, options.json === true));
    });
}

async function watch(client: ApiClient, json: boolean): Promise<void> {
  const stream = client.serverStream('ProtectionService', 'WatchProtections', {});
  process.once('SIGINT', () => stream.cancel());
  try {
    for await (const event of stream as AsyncIterable<ProtectionEvent>) {
      if (json) printLine(JSON.stringify(client.json.toJson('ProtectionEvent', event)));
      else printLine(eventLine(event));
    }
  } catch (error) {
    if ((error as { code?: number }).code !== 1) throw client.toToolError(error as never, {});
  }
}

function eventLine({ time, id, spi, kind, packets }: ProtectionEvent): string {
  const what = (kind ?? '')
    .replace('PROTECTION_EVENT_KIND_', '')
    .toLowerCase()
    .replaceAll('_', ' ');
  const whose = id ? `protection ${id}, SPI 0x${(spi ?? 0).toString(16)}: ` : '';
  const many = Number(packets ?? 0) > 0 ? `, ${grouped(packets)} packets in a second` : '';
  return `${formatTimestamp(time)}  ${whose}${what}${many}`;
}

function idOf(text: string): number {
  if (!/^\d+$/.test(text)) throw usageError(`"${text}" is no ID of a protection`);
  return parseInteger(text, 'ID', 1, ID_MAX);
}
