// Debian packages: which are missing for a purpose, and their installation when we are root.
import { existsSync, readdirSync } from 'node:fs';
import { findProgram, run } from './process.mjs';
import { begin, StepError } from './progress.mjs';

const program = (name) => () => findProgram(name) !== undefined;
const file =
  (...paths) =>
  () =>
    paths.some((path) => existsSync(path));
const header = (path) => file(`/usr/include/${path}`, `/usr/local/include/${path}`);

/** Libraries of clang's run time sit in a folder named after the machine. */
function clangRuntime() {
  const folder = '/usr/lib/llvm-19/lib/clang/19/lib/linux';
  return existsSync(folder) && readdirSync(folder).some((name) => name.includes('fuzzer'));
}

// By purpose: the package, and how to tell that what it brings is there. Probing for the thing
// rather than the package lets a machine that has it from elsewhere pass, and takes no time.
const packagesByPurpose = {
  build: [
    ['g++', program('g++')],
    ['cmake', program('cmake')],
    ['ninja-build', program('ninja')],
    ['pkg-config', program('pkg-config')],
    ['libhwloc-dev', header('hwloc.h')],
  ],
  test: [
    ['libgtest-dev', header('gtest/gtest.h')],
    ['iproute2', program('ip')],
    ['iputils-ping', program('ping')],
    ['ethtool', program('ethtool')],
    ['libdpdk-dev', header('dpdk/rte_ethdev.h')],
    ['tshark', program('tshark')],
    ['python3-scapy', file('/usr/lib/python3/dist-packages/scapy')],
    ['iperf3', program('iperf3')],
    ['curl', program('curl')],
    ['openssl', program('openssl')],
  ],
  bench: [['libnghttp2-dev', header('nghttp2/nghttp2.h')]],
  lint: [
    ['clang-format-19', program('clang-format-19')],
    ['clang-tidy-19', program('clang-tidy-19')],
    ['valgrind', header('valgrind/memcheck.h')],
  ],
  guard: [['valgrind', header('valgrind/memcheck.h')]],
  arm64: [
    ['g++-aarch64-linux-gnu', program('aarch64-linux-gnu-g++')],
    ['qemu-user', program('qemu-aarch64')],
    ['googletest', file('/usr/src/googletest/CMakeLists.txt')],
  ],
  fuzz: [
    ['clang-19', program('clang++-19')],
    ['libclang-rt-19-dev', clangRuntime],
  ],
};

/** Names of the packages that the given purposes need and this machine lacks. */
export function missingPackages(purposes) {
  return purposes
    .flatMap((purpose) => packagesByPurpose[purpose])
    .filter(([, present]) => !present())
    .map(([name]) => name);
}

/** Makes sure that the packages for the given purposes are there; installs only missing ones. */
export async function ensureSystemPackages(purposes) {
  const missing = missingPackages(purposes);
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (findProgram('apt-get') === undefined) {
    throw new StepError(
      `These Debian packages, or what they are called here, are missing: ${names}`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new StepError(
      'System packages are missing. Run this line, then try again:\n' +
        `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names}`,
    );
  }
  const task = begin(`system packages: ${names}`);
  await apt(task, ['update', '-q']);
  await apt(task, ['install', '-y', '-q', '--no-install-recommends', ...missing]);
  const absent = missingPackages(purposes);
  if (absent.length > 0) {
    task.failed();
    throw new StepError(`apt-get installed ${absent.join(' ')}, yet what they bring is not found.`);
  }
  task.done();
}

async function apt(task, args) {
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  const { code, output } = await run('apt-get', [...options, ...args], {
    onLine: (line) => task.progress(line.slice(0, 80)),
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (code === 0) return;
  task.failed();
  throw new StepError(
    `apt-get ${args[0]} failed with exit code ${code}:\n${lastLines(output, 15)}`,
  );
}

/** The end of a long output, where the reason usually is. */
export function lastLines(text, count) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
