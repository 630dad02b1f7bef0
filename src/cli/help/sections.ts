/** What every command's help ends with, where its own text doesn't say it already. */
import type { Command } from 'commander';
import { addedText, allNodes, treeOf } from './command-tree.js';

export const EXIT_CODES = 'Exit codes: 0 done, 1 failed, 2 wrong usage.';
export const CLIENT_ENVIRONMENT = `Environment:
  SLUICE_API          address of the API where --api is not given: host:port or unix:PATH`;
const TIER = `  SLUICE_CRYPTO_TIER  kernels to use: portable, avx2, avx2-gfni or avx512; armv8-aes or armv8-sm4
                      (for tests and benches)
  SLUICE_PATH_TIER    packet path to use: portable or avx2 (for tests and benches)`;
const CRYPTO = `Environment:
${TIER}`;
const SERVER = `Environment:
  SLUICE_LOG_LEVEL    trace, debug, info (the default), warn, error, fatal or silent
${TIER}`;
const PATH = `Environment:
  SLUICE_PATH_TIER    packet path to use: portable or avx2 (for tests and benches)`;
const NOTHING = 'Environment: nothing is read from it.';
const ALL = `${CLIENT_ENVIRONMENT}
  SLUICE_LOG_LEVEL    of "serve": trace, debug, info (the default), warn, error, fatal or silent
${TIER}
  NO_COLOR            anything but nothing: no colours on the screen of "top"`;

/** By the first word of the command; all others talk to the API. */
const ENVIRONMENTS: Readonly<Record<string, string>> = {
  '': ALL,
  serve: SERVER,
  config: NOTHING,
  doctor: CRYPTO,
  help: NOTHING,
  completion: NOTHING,
  replay: PATH,
  crypto: CRYPTO,
};

/** Adds exit codes and environment to every command that has no word of its own on them. */
export function addCommonSections(program: Command): void {
  for (const { command, path } of allNodes(treeOf(program))) {
    const own = addedText(command);
    const missing: string[] = [];
    if (!/^Exit codes?:/m.test(own)) missing.push(EXIT_CODES);
    if (!/^Environment:/m.test(own))
      missing.push(ENVIRONMENTS[path.split(' ')[0]!] ?? CLIENT_ENVIRONMENT);
    if (missing.length > 0) command.addHelpText('after', `\n${missing.join('\n\n')}`);
  }
}
