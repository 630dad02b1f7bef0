/** `sluice session …`: sessions of the UPF over gRPC. */

import { type Command, Option } from 'commander';
import { ToolError, usageError } from '../../tools/tool-error.js';
import { type ApiClient, type ApiOptions, NodeUnavailable } from '../api/client.js';
import { readMessageFile } from '../api/message-file.js';
import type {
  DeleteSessionResponse,
  ListSessionsResponse,
  Session,
  UpdateSessionResponse,
} from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { printJson, printLine, table } from '../print.js';
import { parseInteger } from '../units.js';
import {
  applyRuleFlags,
  refuseRuleFlags,
  type SessionFlags,
  sessionFromFlags,
  withoutOutputs,
} from './flags.js';
import { LIST_HEAD, listRow, sessionText, usageTable } from './view.js';
import { addWatch } from './watch-command.js';

interface Output extends ApiOptions {
  json?: boolean;
}
interface Selection {
  seid?: string;
}

/** How a session is named on the command line: by NAME or by --seid. */
function selector(name: string | undefined, seid: string | undefined): object {
  if ((name === undefined) === (seid === undefined)) throw usageError('give a NAME or --seid');
  if (name !== undefined) return { name };
  const number = /^(0x[0-9a-fA-F]+|\d+)$/.test(seid ?? '') ? BigInt(seid ?? 0) : 0n;
  if (number < 1n || number >= 2n ** 64n) throw usageError(`--seid: "${seid}" is no SEID`);
  return { seid: number.toString() };
}

function addRuleFlags(command: Command): Command {
  return command
    .option('--gnb <address>', 'address of the gNB, where downlink packets go')
    .option('--gnb-teid <teid>', 'TEID at the gNB, such as 0x100')
    .option('--qfi <qfi>', 'QoS flow, 1 to 63')
    .option('--mbr-ul <rate>', 'maximum bit rate uplink: 64k, 10M, 1.5G, or none')
    .option('--mbr-dl <rate>', 'maximum bit rate downlink')
    .addOption(new Option('--gate-ul <gate>', 'uplink gate').choices(['open', 'closed']))
    .addOption(new Option('--gate-dl <gate>', 'downlink gate').choices(['open', 'closed']))
    .option('--volume-threshold <bytes>', 'report usage each time this volume has passed: 100M')
    .option('--volume-quota <bytes>', 'block once this volume has passed')
    .option('--period <time>', 'report usage this often: 10s')
    .option('--time-threshold <time>', 'report usage each time traffic has lasted this long')
    .option('--time-quota <time>', 'block once traffic has lasted this long')
    .option('--inactivity <time>', 'tell when no packet came for this long');
}

export function addSessionCommands(program: Command): void {
  const session = program
    .command('session')
    .description('create, read, change and watch sessions')
    .addHelpText(
      'after',
      '\nExamples:\n  sluice session create --name ue1\n  sluice session list\n  sluice help session watch',
    );
  addCreate(session);
  addGet(session);
  addList(session);
  addUpdate(session);
  addDelete(session);
  addWatch(session);
}

function addCreate(parent: Command): void {
  const command = parent
    .command('create')
    .description('create a session from flags, or all sessions of a file')
    .option('--name <name>', 'name of the session, unique')
    .option('--ue-ip <address>', 'IPv4 address of the UE, "auto" (of the pool) or "none"')
    .option('--ue-ip6 <prefix>', 'IPv6 /64 prefix of the UE, "auto" or "none" (default: none)')
    .option('--dnn <name>', 'data network, also its network instance (default: internet)')
    .option('--teid <teid>', 'TEID at the UPF (default: the UPF chooses)')
    .option(
      '-f, --file <file>',
      'sessions in YAML or JSON with the field names of the API; - reads stdin',
    );
  addRuleFlags(command)
    .addHelpText(
      'after',
      `
Defaults make "sluice session create --name ue1" a session that "sluice gnb" can use: an
address of the pool, gNB 127.0.0.2 with a TEID made of the name, QFI 9, no limits. Creation is
idempotent by name: the same content again returns the session that is there.

Examples:
  sluice session create --name ue1 --ue-ip auto --ue-ip6 auto --mbr-dl 50M
  sluice session create --name ue2 --gnb 192.0.2.7 --gnb-teid 0x100 --volume-threshold 100M
  sluice session create -f sessions.yaml
  sluice session get ue1 --json | sluice session create -f -`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<SessionFlags & Output & { file?: string }>();
      await withClient(options, (client) => createSessions(client, options));
    });
}

async function createSessions(
  client: ApiClient,
  options: SessionFlags & Output & { file?: string },
): Promise<void> {
  if (options.file !== undefined) refuseRuleFlags(options);
  const sessions =
    options.file === undefined
      ? [sessionFromFlags(options)]
      : readMessageFile('Session', options.file, client.json).map(withoutOutputs);
  const created: object[] = [];
  for (const session of sessions) {
    const request = { session };
    const reply = await client.call<Session>('SessionService', 'CreateSession', request);
    if (options.json !== true) printLine(`${created.length > 0 ? '\n' : ''}${sessionText(reply)}`);
    created.push(client.json.toJson('Session', reply));
  }
  if (options.json === true) printOneOrAll(created, created.length);
}

function addGet(parent: Command): void {
  parent
    .command('get [name]')
    .description('show one session')
    .option('--seid <seid>', 'by SEID instead of name')
    .addHelpText('after', '\nExamples:\n  sluice session get ue1\n  sluice session get ue1 --json')
    .action(async (name: string | undefined, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<Selection & Output>();
      const request = selector(name, options.seid);
      await withClient(options, async (client) => {
        const session = await client.call<Session>('SessionService', 'GetSession', request);
        if (options.json === true) printJson(client.json.toJson('Session', session));
        else printLine(sessionText(session));
      });
    });
}

function addList(parent: Command): void {
  parent
    .command('list')
    .description('list sessions')
    .option('--owner <owner>', 'only those of this owner, such as "n4:smf1"')
    .option('--limit <n>', 'at most this many')
    .addHelpText(
      'after',
      '\nExamples:\n  sluice session list\n  sluice session list --limit 10 --json',
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output & { owner?: string; limit?: string }>();
      await withClient(options, (client) => listSessions(client, options));
    });
}

async function listSessions(
  client: ApiClient,
  options: Output & { owner?: string; limit?: string },
): Promise<void> {
  let left =
    options.limit === undefined ? Infinity : parseInteger(options.limit, '--limit', 1, 1e9);
  let token = '';
  let shown = 0;
  do {
    const request = {
      page_size: Math.min(left, 1000),
      page_token: token,
      owner: options.owner ?? '',
    };
    const page = await client.call<ListSessionsResponse>('SessionService', 'ListSessions', request);
    const sessions = (page.sessions ?? []).slice(0, left);
    printPage(client, sessions, shown === 0, options.json === true);
    shown += sessions.length;
    left -= sessions.length;
    token = page.next_page_token ?? '';
    if (token === '' || left === 0) {
      finishList(shown, Number(page.total ?? shown), options.json === true);
      return;
    }
  } while (left > 0);
}

function printPage(client: ApiClient, sessions: Session[], first: boolean, json: boolean): void {
  if (json) {
    const texts = sessions.map((session) => JSON.stringify(client.json.toJson('Session', session)));
    if (first) process.stdout.write('[');
    if (texts.length > 0) process.stdout.write(`${first ? '' : ','}\n${texts.join(',\n')}`);
  } else if (sessions.length > 0) {
    printLine(table(LIST_HEAD, sessions.map(listRow)));
  }
}

function finishList(shown: number, total: number, json: boolean): void {
  if (json) printLine('\n]');
  else if (shown === 0) printLine('no sessions');
  else if (total > shown) printLine(`${shown} of ${total} sessions`);
}

function addUpdate(parent: Command): void {
  const command = parent
    .command('update [name]')
    .description('change a session: what the flags name, or the rules as a whole from a file')
    .option('-f, --file <file>', 'sessions in YAML or JSON, as for create')
    .option('--expected-revision <n>', 'refuse when the session has another revision')
    .option('--send-end-markers', 'send End Markers on tunnels that change')
    .option('--drop-buffered', 'drop what is buffered')
    .option('--query <ids>', 'report the usage of these URRs at once: 1 or 1,2');
  addRuleFlags(command)
    .addHelpText(
      'after',
      `
With flags, the session is read, every QER, URR or access tunnel of it is changed as the
flags say, and written back only if nobody changed it in between.

Examples:
  sluice session update ue1 --gate-dl closed
  sluice session update ue1 --mbr-dl 20M --mbr-ul none
  sluice session update ue1 --gnb 192.0.2.8 --gnb-teid 0x200 --send-end-markers
  sluice session update -f sessions.yaml`,
    )
    .action(async (name: string | undefined, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<UpdateOptions>();
      await withClient(options, (client) => updateSessions(client, name, options));
    });
}

function revisionOf(text: string | undefined): string {
  if (text === undefined) return '0';
  return String(parseInteger(text, '--expected-revision', 1, Number.MAX_SAFE_INTEGER));
}

interface UpdateOptions extends SessionFlags, Output {
  file?: string;
  expectedRevision?: string;
  sendEndMarkers?: boolean;
  dropBuffered?: boolean;
  query?: string;
}

async function updateSessions(
  client: ApiClient,
  name: string | undefined,
  options: UpdateOptions,
): Promise<void> {
  if ((name === undefined) === (options.file === undefined)) throw usageError('give a NAME or -f');
  let sessions: Session[];
  let revision = revisionOf(options.expectedRevision);
  if (options.file !== undefined) {
    refuseRuleFlags(options);
    sessions = readMessageFile('Session', options.file, client.json).map(withoutOutputs);
  } else {
    const current = await client.call<Session>('SessionService', 'GetSession', { name });
    if (options.expectedRevision === undefined) revision = String(current.revision ?? 0);
    const changed = withoutOutputs(current);
    applyRuleFlags(changed, options);
    sessions = [changed];
  }
  const updated: object[] = [];
  for (const session of sessions) {
    const reply = await client.call<UpdateSessionResponse>('SessionService', 'UpdateSession', {
      session,
      expected_revision: revision,
      send_end_markers: options.sendEndMarkers === true,
      drop_buffered: options.dropBuffered === true,
      query_urr_ids: urrIds(options.query),
    });
    updated.push(client.json.toJson('UpdateSessionResponse', reply));
    if (options.json === true) continue;
    printLine(sessionText(reply.session ?? {}));
    if ((reply.usage ?? []).length > 0) printLine(usageTable(reply.usage ?? []));
  }
  if (options.json === true) printOneOrAll(updated, updated.length);
}

function urrIds(text = ''): number[] {
  const ids = text.split(',').filter((id) => id !== '');
  return ids.map((id) => parseInteger(id, '--query', 1, 0xffff_ffff));
}

function addDelete(parent: Command): void {
  parent
    .command('delete [names...]')
    .description('delete sessions; prints their final usage')
    .option('--seid <seid>', 'by SEID instead of name')
    .addHelpText(
      'after',
      '\nExamples:\n  sluice session delete ue1\n  sluice session delete ue1 ue2',
    )
    .action(async (names: string[], _: unknown, own: Command) => {
      const options = own.optsWithGlobals<Selection & Output>();
      const requests =
        names.length > 1 && options.seid === undefined
          ? names.map((name) => ({ name }))
          : [selector(names[0], options.seid)];
      await withClient(options, (client) =>
        deleteSessions(client, requests, options.json === true),
      );
    });
}

/** All that can be deleted, whatever the others are. */
async function deleteSessions(
  client: ApiClient,
  requests: readonly object[],
  json: boolean,
): Promise<void> {
  const replies: object[] = [];
  const refusals: string[] = [];
  for (const request of requests) {
    try {
      const reply = await client.call<DeleteSessionResponse>(
        'SessionService',
        'DeleteSession',
        request,
      );
      replies.push(client.json.toJson('DeleteSessionResponse', reply));
      if (!json) printDeleted(request, reply);
    } catch (error) {
      if (!(error instanceof ToolError) || error instanceof NodeUnavailable) throw error;
      refusals.push(error.message);
    }
  }
  if (json && replies.length > 0) printOneOrAll(replies, requests.length);
  if (refusals.length > 0) throw new ToolError(refusals.join('\n'));
}

function printDeleted(request: object, reply: DeleteSessionResponse): void {
  printLine(`deleted ${Object.values(request).join('')}`);
  if ((reply.usage ?? []).length > 0) printLine(usageTable(reply.usage ?? []));
}

/** One JSON document, whatever was asked for: an array when it was more than one thing. */
function printOneOrAll(results: readonly object[], asked: number): void {
  printJson(asked === 1 ? results[0] : results);
}
