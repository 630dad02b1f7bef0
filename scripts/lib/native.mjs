// Native code: one CMake build per purpose, rebuilt by need. The addon and its plain tests share a
// folder, and so the library in both.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, root, run } from './process.mjs';
import { begin, StepError } from './progress.mjs';

/**
 * Little optimization: it compiles in half the time, keeps assertions and honest stacks. clang
 * takes half as long for it as g++, which builds the product.
 */
const instrumented = [
  '-DCMAKE_CXX_COMPILER=clang++-19',
  '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
  '-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1',
];

/**
 * Folder, options, and what of it is built (all, where nothing is said) of each build. The tier of
 * the packet path is the best that this processor runs, where nothing else is said.
 */
export const nativeBuilds = {
  addon: { folder: 'build', options: [] },
  everyTier: { folder: 'build', options: [], everyTier: true },
  test: { folder: 'build', options: [], target: 'sluice_tests' },
  /** What runs under valgrind, as optimized as the product. */
  guard: { folder: 'build', options: [], target: 'sluice_bench' },
  secrets: { folder: 'build', options: [], target: 'sluice_secrets' },
  /** What clang-tidy reads; nothing is built there. */
  lint: { folder: 'build-lint', options: ['-DSLUICE_ADDON=OFF', '-DSLUICE_TESTS=ON'] },
  bench: { folder: 'build-bench', options: ['-DSLUICE_ADDON=OFF', '-DSLUICE_BENCH=ON'] },
  /** AddressSanitizer and UBSan; the tests and the fuzzers share the library. */
  asan: {
    folder: 'build-asan',
    options: ['-DSLUICE_ADDON=OFF', '-DSLUICE_TESTS=ON', '-DSLUICE_FUZZ=ON', ...instrumented],
  },
  /** In the portable tier, whose tests these are. */
  tsan: {
    folder: 'build-tsan',
    options: [
      '-DSLUICE_TIERS=portable',
      '-DSLUICE_ADDON=OFF',
      '-DSLUICE_TESTS=ON',
      '-DSLUICE_SANITIZE=thread',
      ...instrumented,
    ],
  },
  /** The cryptography for Armv8, and its tests, from any machine. */
  arm64: {
    folder: 'build-arm64',
    options: [
      `-DCMAKE_TOOLCHAIN_FILE=${join(root, 'native', 'aarch64.cmake')}`,
      '-DSLUICE_TIERS=portable',
      '-DSLUICE_CRYPTO_ALONE=ON',
      '-DSLUICE_ADDON=OFF',
      '-DSLUICE_TESTS=ON',
    ],
  },
};

/** Builds one of {@link nativeBuilds}; silent when nothing changed. Returns its folder. */
export async function buildNative(kind) {
  const { target } = nativeBuilds[kind];
  let folder = await configureNative(kind);
  if (target !== undefined && !(await hasTarget(folder, target))) {
    // Its library was not here when the folder was configured.
    folder = await configureNative(kind, { refresh: true });
  }
  const title = `native build (${kind})`;
  let task;
  const what = target === undefined ? [] : ['--target', target];
  const { code, output } = await run('cmake', ['--build', folder, ...what], {
    onLine: (line) => {
      if (!/^\[\d+\/\d+\]/.test(line) || line.includes('Re-checking globbed')) return;
      task ??= begin(title);
      task.progress(line.split(' ', 1)[0]);
    },
    env: { NINJA_STATUS: '[%f/%t] ' },
  });
  if (code !== 0) {
    (task ?? begin(title)).failed();
    throw new StepError(
      `The native build failed (cmake --build ${folder}):\n${fromFailure(output)}`,
    );
  }
  task?.done();
  return folder;
}

async function hasTarget(folder, target) {
  const { output } = await run('cmake', ['--build', folder, '--target', 'help'], {
    onLine: () => {},
  });
  return new RegExp(`^(\\.\\.\\. )?${target}\\b`, 'm').test(output);
}

/**
 * Configures a build folder when it is new, was moved, or its options changed; with `refresh` in
 * any case, for the list of sources.
 */
export async function configureNative(kind, { refresh = false } = {}) {
  const { folder: name } = nativeBuilds[kind];
  const folder = join(root, name);
  const optionsPath = join(folder, '.sluice-options');
  const options = optionsOf(kind, optionsPath);
  const wanted = `${root}\n${options.join('\n')}\n`;
  const current = existsSync(optionsPath) ? readFileSync(optionsPath, 'utf8') : undefined;
  const configured = current === wanted && existsSync(join(folder, 'build.ninja'));
  if (configured && !refresh) return folder;
  const task = begin(`native configuration (${kind})`);
  // A cache of another place or generator makes CMake refuse. The rest may stay: Ninja knows by
  // which command each product was made, and node-gyp keeps files of its own beside them.
  if (current !== wanted) {
    for (const cache of ['CMakeCache.txt', 'CMakeFiles']) {
      rmSync(join(folder, cache), { recursive: true, force: true });
    }
  }
  const generator = findProgram('ninja') ? ['-G', 'Ninja'] : [];
  const { code, output } = await run(
    'cmake',
    [...generator, '-S', root, '-B', folder, ...options],
    {
      onLine: (line) => task.progress(line),
    },
  );
  if (code !== 0) {
    task.failed();
    throw new StepError(`cmake could not configure ${name}:\n${output}`);
  }
  writeFileSync(optionsPath, wanted);
  task.done();
  return folder;
}

/** What CMake is told. Once every tier was asked for in a folder, none goes stale there. */
function optionsOf(kind, optionsPath) {
  const { options, everyTier } = nativeBuilds[kind];
  if (options.some((option) => option.startsWith('-DSLUICE_TIERS='))) return options;
  const tiers = tiersOfMachine();
  const every = `-DSLUICE_TIERS=${tiers.join(';')}`;
  const before = existsSync(optionsPath) ? readFileSync(optionsPath, 'utf8') : '';
  const kept = before.split('\n').includes(every);
  return [...options, everyTier || kept ? every : `-DSLUICE_TIERS=${tiers[0]}`];
}

/** All tiers that are compiled for this architecture; the best that this processor runs is first. */
function tiersOfMachine() {
  const listed = JSON.parse(readFileSync(join(root, 'native', 'tiers.json'), 'utf8'));
  const tiers = process.arch === 'x64' ? listed.x86_64 : listed.other;
  const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  const has = new Set(line.trim().split(' '));
  const best = tiers.find(({ flags }) => flags.every((flag) => has.has(flag)));
  if (best === undefined) throw new StepError('No packet path is made for this processor.');
  return [best, ...tiers.filter((tier) => tier !== best)].map(({ tier }) => tier);
}

/** Ninja's output from the first command that failed, without those that worked. */
function fromFailure(output) {
  const lines = output.split('\n').filter((line) => !/^\[\d+\/\d+\] (Building|Linking)/.test(line));
  const first = lines.findIndex((line) => line.startsWith('FAILED:'));
  return lines.slice(Math.max(first, 0)).join('\n');
}
