// Guards under valgrind, whose counts do not depend on how busy a machine is: instructions a packet on
// the main path, and that no branch or address of the cryptography depends on a secret.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { emulatedPath } from './arm64/emulator.mjs';
import { buildNative } from './lib/native.mjs';
import { root, run } from './lib/process.mjs';
import { say } from './lib/progress.mjs';

const budgetsPath = join(root, 'bench', 'instructions.json');
/** What a count may be off the budget, either way: below it, the budget is to be lowered. */
const slack = 0.03;
/** Rounds of the bench; what both runs share, such as the set-up, is in neither figure. */
const rounds = [1000, 3000];

/**
 * Compares each row of bench/instructions.json with what the worker's loop executes for a packet.
 * It sees neither misses of caches, nor mispredicted branches, nor how well instructions overlap.
 * @returns {Promise<{passed: number, failed: number}>}
 */
export async function guardInstructions() {
  const { compiler, packetsARound, budgets } = JSON.parse(readFileSync(budgetsPath, 'utf8'));
  const { output } = await run('c++', ['-dumpfullversion'], { onLine: () => {} });
  if (output.trim() !== compiler) {
    say(`- skipped: the budgets are for g++ ${compiler}, and this is ${output.trim()}`);
    return { passed: 0, failed: 0 };
  }
  const program = join(await buildNative('guard'), 'sluice_bench');
  const results = { passed: 0, failed: 0 };
  for (const [row, budget] of Object.entries(budgets)) {
    const [few, many] = [
      await instructionsOf(program, row, rounds[0]),
      await instructionsOf(program, row, rounds[1]),
    ];
    const each = (many - few) / ((rounds[1] - rounds[0]) * packetsARound);
    const holds = Math.abs(each / budget - 1) <= slack;
    results[holds ? 'passed' : 'failed'] += 1;
    say(`${holds ? '✓' : '✗'} ${row}: ${each.toFixed(1)} instructions a packet, budget ${budget}`);
    if (!holds)
      say(`  more than ${slack * 100} % off: mend it, or change ${budgetsPath}, and say why`);
  }
  return results;
}

/** Instructions in Worker::loop() and what it calls, in one run of a bench. */
async function instructionsOf(program, row, count) {
  const { code, output } = await run(
    'valgrind',
    [
      '--tool=callgrind',
      '--callgrind-out-file=/dev/null',
      '--toggle-collect=sluice::Worker::loop()',
      program,
      ...['--only', row, '--runs', '1', '--rounds', String(count)],
    ],
    { onLine: () => {} },
  );
  const collected = /Collected\s*:\s*(\d+)/.exec(output);
  if (code !== 0 || collected === null) throw new Error(`valgrind could not run it:\n${output}`);
  return Number(collected[1]);
}

/**
 * Kernels for more than the tier that they are in share no function with other sources: a linker
 * may keep the copy with instructions that the processor lacks (decision 0043).
 * @param kind     of the build that has them
 * @param kernels  what their files have in their names
 * @returns {Promise<{passed: number, failed: number}>} that shared functions of other sources are found, and none in kernels
 */
export async function guardKernels(kind = 'guard', kernels = 'avx', nm = 'nm') {
  const folder = await buildNative(kind);
  const files = readdirSync(join(folder, 'CMakeFiles'), { recursive: true })
    .filter((name) => /^sluice_(core_|tests).*\.o$/.test(name))
    .map((name) => join(folder, 'CMakeFiles', name));
  const isKernel = (name) => name.includes('/native/crypto/') && basename(name).includes(kernels);
  const objects = files.filter(isKernel);
  const shared = async (object) => {
    const { code, output } = await run(nm, ['--defined-only', '-C', object], {
      onLine: () => {},
    });
    if (code !== 0) throw new Error(`nm could not read it:\n${output}`);
    return output.split('\n').filter((line) => /^\S* [Ww] /.test(line));
  };
  const results = { passed: 0, failed: 0 };
  const note = (holds, text) => {
    results[holds ? 'passed' : 'failed'] += 1;
    say(`${holds ? '✓' : '✗'} ${text}`);
  };
  const others = files.filter((name) => !isKernel(name));
  const found = (await Promise.all(others.map(shared))).flat();
  note(found.length > 0, `shared functions are found where there are some: ${found.length}`);
  const bad = (await Promise.all(objects.map(shared))).flat();
  const fine = objects.length > 0 && bad.length === 0;
  note(
    fine,
    `${objects.length} kernels share no function${bad.map((line) => `\n  ${line}`).join('')}`,
  );
  return results;
}

/**
 * By memcheck, which sees every branch and address, and for the tiers that it can't run by times.
 * @returns {Promise<{passed: number, failed: number}>} planted leaks have to be found, no others
 */
export async function guardSecrets() {
  const program = join(await buildNative('secrets'), 'sluice_secrets');
  const check = (...args) =>
    run('valgrind', ['-q', '--error-exitcode=9', program, ...args], { onLine: () => {} });
  const leak = await check('--leak');
  const found =
    leak.code === 9 && /Use of uninit/.test(leak.output) && /Conditional/.test(leak.output);
  if (!found) say(`✗ the planted leak was not found:\n${leak.output}`);
  const { code, output } = await check();
  const tiers = output.trim().split('\n');
  if (code === 0) say(`✓ no branch and no address depends on a secret, in: ${tiers.join(', ')}`);
  else say(`✗ something depends on a secret:\n${output}`);
  const holds = [found, code === 0, ...(await timesHold(program))];
  const passed = holds.filter((held) => held).length;
  return { passed, failed: holds.length - passed };
}

/** Of what times tell: whether planted leaks are found, and no others. */
async function timesHold(program) {
  const holds = [];
  for (const args of [['--leak'], []]) {
    const { code, output } = await run(program, ['--times', ...args], { onLine: () => {} });
    const lines = output.trim().split('\n');
    if (args.length === 0) for (const line of lines) say(`  times in ${line}`);
    if (code !== 0)
      say(
        `✗ ${args.length > 0 ? 'a planted leak was not found' : 'times tell secrets apart'}:\n${output}`,
      );
    holds.push(code === 0);
  }
  return holds;
}

/**
 * Memcheck has no Armv8 here. qemu-user tells each block of code that it executes: the same ones, in
 * the same order, whatever the secrets, so that no branch depends on them. Addresses it does not tell.
 * @returns {Promise<{passed: number, failed: number}>} a planted branch has to be found, no other
 */
export async function guardEmulatedSecrets() {
  const program = join(await buildNative('arm64'), 'sluice_secrets');
  const secrets = ['1', '2', '3'];
  const differ = async (...args) => {
    const paths = await Promise.all(
      secrets.map((of) => emulatedPath('max', program, ['--of', of, ...args])),
    );
    return new Set(paths).size > 1;
  };
  const [leakIsFound, isFound] = [await differ('--leak'), await differ()];
  say(`${leakIsFound ? '✓' : '✗'} the planted branch is found`);
  say(`${isFound ? '✗' : '✓'} what is executed does not depend on a secret`);
  const failed = (leakIsFound ? 0 : 1) + (isFound ? 1 : 0);
  return { passed: 2 - failed, failed };
}
