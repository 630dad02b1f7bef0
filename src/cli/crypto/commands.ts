/**
 * `sluice crypto …`: SM2, SM3 and SM4 on files, with the code that the node itself uses. No node
 * has to run. One thread and the pool of src/crypto. Start at addCryptoCommands.
 */
import type { Command } from 'commander';
import { addOpenCommand, addSealCommand } from './seal-commands.js';
import { addSelfTestCommand } from './selftest-command.js';
import { addKeygenCommand, addSignCommand, addVerifyCommand } from './sm2-commands.js';
import { addSpeedCommand } from './speed-command.js';

export function addCryptoCommands(program: Command): void {
  const crypto = program
    .command('crypto')
    .description('SM2, SM3 and SM4 with the code of the node: keys, files, self test, speed')
    .addHelpText(
      'after',
      `
None of these commands talks to a node. docs/SM4.md says what is standard in them and what is not.

Examples:
  sluice crypto keygen sm2 -o upf.pem
  sluice crypto sign report.csv --key upf.pem
  sluice crypto verify report.csv --key upf.pem.pub
  sluice crypto keygen sm4 -o node.key
  sluice crypto seal usage.csv --key-file node.key
  sluice crypto open usage.csv.sealed --key-file node.key -o usage.csv
  sluice crypto selftest
  sluice crypto speed --mode sm4-gcm --unit cycles`,
    );
  addKeygenCommand(crypto);
  addSignCommand(crypto);
  addVerifyCommand(crypto);
  addSealCommand(crypto);
  addOpenCommand(crypto);
  addSelfTestCommand(crypto);
  addSpeedCommand(crypto);
}
