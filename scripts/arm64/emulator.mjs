// Processors of Armv8 under qemu-user, for what is built for them here.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';

/** The command, with its first arguments, that runs a program on such a processor. */
export const emulator = (processor) => [
  'qemu-aarch64',
  ...['-L', '/usr/aarch64-linux-gnu', '-cpu', processor],
];

/** @returns {Promise<string>} a digest of which blocks of code a program executed, in their order */
export function emulatedPath(processor, program, args) {
  const [command, ...first] = emulator(processor);
  const child = spawn(command, [...first, '-d', 'exec,nochain', program, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const digest = createHash('sha256');
  let blocks = 0;
  let rest = '';
  child.stderr.setEncoding('latin1').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    // In brackets the address of the block; before them where the emulator has it, which is another each time.
    for (const line of lines) digest.update(`${line.slice(line.indexOf('['))}\n`);
    blocks += lines.length;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0 || blocks < 1000) {
        reject(new Error(`qemu-aarch64 told ${blocks} blocks and ended with ${code}`));
      } else {
        resolve(digest.digest('hex'));
      }
    });
  });
}
