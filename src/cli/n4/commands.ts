/**
 * `sluice n4 …`: PFCP as the node serves it to CP functions (SMFs). A client of the API, one
 * thread. Start at addN4Commands; a command that needs more than a table has a file of its own.
 */
import type { Command } from 'commander';
import { ToolError } from '../../tools/tool-error.js';
import type { ApiClient, ApiOptions } from '../api/client.js';
import type {
  ListPeerSessionsResponse,
  ListPeersResponse,
  N4Peer,
  N4Session,
} from '../api/messages.js';
import { withClient } from '../api/with-client.js';
import { grouped, printJson, printLine, table } from '../print.js';
import { parseInteger } from '../units.js';
import { addN4Load } from './load-command.js';
import { addN4CaptureCommand, addTraceCommand } from './trace-command.js';
import { peersText, SESSIONS_HEAD, sessionRow } from './view.js';

const PAGE = 1000;

interface Output extends ApiOptions {
  json?: boolean;
}

/** The `n4` command, for others to add to. */
export function addN4Commands(program: Command): Command {
  const n4 = program
    .command('n4')
    .description('look at PFCP: peers, their sessions and messages')
    .addHelpText(
      'after',
      '\nExamples:\n  sluice n4 peers\n  sluice n4 sessions smf.example.org\n  sluice n4 trace',
    );
  n4.command('peers')
    .description('list SMFs with an association: addresses, sessions, messages, causes')
    .addHelpText(
      'after',
      `
A peer that does not answer heartbeats is "unreachable"; its sessions go on. Messages are counted
without duplicates; causes other than 1 (accepted) are those of the node's answers.

Examples:
  sluice n4 peers
  sluice n4 peers --json | jq '.peers[] | select(.reachable | not)'`,
    )
    .action(async (_: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output>();
      await withClient(options, async (client) => {
        const answer = await client.call<ListPeersResponse>('N4Service', 'ListPeers', {});
        if (options.json === true) printJson(client.json.toJson('ListPeersResponse', answer));
        else printLine(peersText(answer));
      });
    });
  n4.command('sessions')
    .description('list the sessions that an SMF has made')
    .argument('[node-id]', 'Node ID as "sluice n4 peers" shows it; may be left out with one peer')
    .option('--limit <n>', 'at most this many')
    .addHelpText(
      'after',
      `
"sluice session get" shows all of a session, by its SEID.

Examples:
  sluice n4 sessions 10.0.0.2 --limit 20
  sluice session get --seid 0x1122334455667788`,
    )
    .action(async (nodeId: string | undefined, _: unknown, own: Command) => {
      const options = own.optsWithGlobals<Output & { limit?: string }>();
      await withClient(options, (client) => listSessions(client, nodeId, options));
    });
  addN4Load(n4);
  addTraceCommand(n4);
  addN4CaptureCommand(n4);
  return n4;
}

async function listSessions(
  client: ApiClient,
  nodeId: string | undefined,
  options: Output & { limit?: string },
): Promise<void> {
  const { limit, json } = options;
  let left = limit === undefined ? Infinity : parseInteger(limit, '--limit', 1, 1e9);
  const node_id = nodeId ?? (await onlyPeer(client));
  const sessions: N4Session[] = [];
  let total = 0;
  for (let page_token = ''; left > 0; ) {
    const request = { node_id, page_size: Math.min(left, PAGE), page_token };
    const page = await client.call<ListPeerSessionsResponse>(
      'N4Service',
      'ListPeerSessions',
      request,
    );
    const taken = (page.sessions ?? []).slice(0, left);
    sessions.push(...taken);
    left -= taken.length;
    total = Number(page.total ?? 0);
    page_token = page.next_page_token ?? '';
    if (page_token === '') break;
  }
  if (json === true) {
    printJson(sessions.map((session) => client.json.toJson('N4Session', session)));
    return;
  }
  if (sessions.length === 0) printLine('no sessions');
  else printLine(table(SESSIONS_HEAD, sessions.map(sessionRow)));
  if (total > sessions.length) printLine(`${sessions.length} of ${grouped(total)} sessions`);
}

async function onlyPeer(client: ApiClient): Promise<string> {
  const { peers = [] } = await client.call<ListPeersResponse>('N4Service', 'ListPeers', {});
  const [first, second] = peers;
  if (first === undefined) throw new ToolError('no SMF has an association');
  if (second === undefined) return first.node_id ?? '';
  const names = peers.map((peer: N4Peer) => peer.node_id).join(', ');
  throw new ToolError(`name one of the peers: ${names}`);
}
