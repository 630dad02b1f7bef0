/** Completion as a shell does it: a bash that has read the script, asked at many places. */
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { packageRoot } from '../api/client.js';
import { program, run as runSluice } from '../program.js';
import { treeOf } from './command-tree.js';
import { completionScript, SHELLS } from './completion.js';

const run = promisify(execFile);
const root = packageRoot();
let folder: string;
let server: grpc.Server;
let api: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-completion-'));
  writeFileSync(join(folder, 'sluice.bash'), completionScript('bash', treeOf(program())));
  // Stands for the command, as fast as a shell: names as the real one prints them, below.
  mkdirSync(join(folder, 'bin'));
  writeFileSync(
    join(folder, 'bin/sluice'),
    `#!/bin/sh
[ "$1" = session-names ] || exit 2
echo "$@" >> '${folder}/asked'
case "$*" in *127.0.0.1:1*) ;; *) printf '%s\\n' ue1 ue2 imsi:001 imsi:002 ;; esac
`,
  );
  chmodSync(join(folder, 'bin/sluice'), 0o755);
  writeFileSync(join(folder, 'upf.yaml'), '');
  mkdirSync(join(folder, 'upper'));
  const definitions = loadSync('sluice/v1/sluice.proto', { includeDirs: [join(root, 'proto')] });
  server = new grpc.Server();
  server.addService(definitions['sluice.v1.SessionService'] as grpc.ServiceDefinition, {
    listSessions: ((_, callback) =>
      callback(null, {
        sessions: [{ name: 'ue1' }, { name: 'ue2' }, { name: 'imsi:001' }, { name: 'imsi:002' }],
      })) as grpc.handleUnaryCall<object, object>,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  api = `127.0.0.1:${port}`;
});
afterAll(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});

/** What bash offers when Tab is pressed at the end of the line. */
async function offered(line: string): Promise<string[]> {
  const script = `source ./sluice.bash; COMP_LINE=$1; COMP_POINT=\${#1}; _sluice
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { PATH: `${folder}/bin:${process.env.PATH}` };
  const { stdout } = await run('bash', ['-c', script, 'bash', line], { cwd: folder, env });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  it('completes commands, and commands below commands', async () => {
    expect(await offered('sluice ')).toEqual(
      expect.arrayContaining(['serve', 'session', 'top', 'doctor', 'help', 'completion']),
    );
    expect(await offered('sluice se')).toEqual(['serve', 'session']);
    expect(await offered('sluice session ')).toEqual(
      expect.arrayContaining(['create', 'get', 'list', 'update', 'delete', 'watch']),
    );
    expect(await offered('sluice --json session cr')).toEqual(['create']);
    expect(await offered('sluice ')).not.toContain('session-names');
  });

  it('completes flags of the command, and of the program', async () => {
    const flags = await offered('sluice session create --');
    expect(flags).toEqual(expect.arrayContaining(['--name', '--mbr-dl', '--gate-ul', '--api']));
    expect(flags).not.toContain('--expected-revision');
    expect(await offered('sluice top --on')).toEqual(['--once']);
    expect(await offered('sluice session create --name x --mbr-')).toEqual([
      '--mbr-ul',
      '--mbr-dl',
    ]);
  });

  it('completes values: choices, files, folders, commands', async () => {
    expect(await offered('sluice session create --gate-ul ')).toEqual(['open', 'closed']);
    expect(await offered('sluice session create --gate-ul=cl')).toEqual(['closed']);
    expect(await offered('sluice completion ')).toEqual(['bash', 'zsh', 'fish']);
    expect(await offered('sluice serve -c up')).toEqual(['upf.yaml', 'upper']);
    expect(await offered('sluice serve --data up')).toEqual(['upper']);
    expect(await offered('sluice gnb exec -- pr')).toContain('printf');
    expect(await offered('sluice session create --name ')).toEqual([]);
  });

  it('completes names of sessions by asking the node', async () => {
    expect(await offered('sluice session get u')).toEqual(['ue1', 'ue2']);
    expect(await offered('sluice session delete ue1 u')).toEqual(['ue1', 'ue2']);
    expect(await offered('sluice gnb up --session ')).toHaveLength(4);
    // bash takes what is before a colon for a word of its own.
    expect(await offered('sluice session get imsi:')).toEqual(['001', '002']);
    expect(await offered(`sluice --api ${api} session get ue2`)).toEqual(['ue2']);
    expect(await offered('sluice --api 127.0.0.1:1 session get u')).toEqual([]);
    expect(await offered('sluice --api=127.0.0.1:1 session get u')).toEqual([]);
  });

  it('asks the node that the command line names', async () => {
    writeFileSync(join(folder, 'asked'), '');
    await offered('sluice session get u');
    await offered('sluice --api unix:/run/a.sock --tls-ca ca.pem session get u');
    await offered('sluice session get --api=host:1 u');
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe(
      'session-names\nsession-names --api unix:/run/a.sock --tls-ca ca.pem\n' +
        'session-names --api=host:1\n',
    );
    let out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += String(text);
      return true;
    });
    try {
      expect(await runSluice(['session-names', '--api', api])).toBe(0);
      expect(await runSluice(['session-names', '--api', '127.0.0.1:1'])).toBe(0);
    } finally {
      vi.restoreAllMocks();
    }
    expect(out).toBe('ue1\nue2\nimsi:001\nimsi:002\n');
  });

  it('works at a prompt, with the Tab key', async () => {
    const shell = `bash --norc --noprofile -i`;
    const env = {
      ...process.env,
      PATH: `${folder}/bin:${process.env.PATH}`,
      PS1: '$ ',
      TERM: 'dumb',
    };
    const child = spawn('script', ['-qfec', shell, '/dev/null'], { cwd: folder, env });
    let out = '';
    child.stdout.on('data', (text: Buffer) => {
      out += text.toString();
    });
    const shows = (text: string) =>
      vi.waitFor(() => expect(out).toContain(text), { timeout: 20_000 });
    await vi.waitFor(() => expect(out).toMatch(/[#$] $/), { timeout: 20_000 });
    child.stdin.write('source ./sluice.bash; echo rea""dy\n');
    await shows('ready');
    child.stdin.write('sluice ses\t');
    await shows('sluice session ');
    child.stdin.write('crea\t');
    await shows('sluice session create ');
    child.stdin.write('\x15exit\n');
    await new Promise((resolve) => child.on('close', resolve));
  });
});

describe('the scripts', () => {
  const paths = (process.env.PATH ?? '').split(':');
  const shells = SHELLS.filter((shell) => paths.some((path) => existsSync(join(path, shell))));
  it.each(shells)('of %s is well-formed', async (shell) => {
    const file = join(folder, `check.${shell}`);
    writeFileSync(file, completionScript(shell, treeOf(program())));
    await expect(run(shell, ['-n', file])).resolves.toBeDefined();
  });
  it('name every command', () => {
    for (const shell of SHELLS) {
      const script = completionScript(shell, treeOf(program()));
      for (const word of ['watch', 'create', 'doctor', 'replay', 'exec'])
        expect(script).toContain(word);
    }
  });
});
