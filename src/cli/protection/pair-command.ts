/** `sluice protection pair`: fresh keys for both ends of a tunnel, in two files. */
import { randomBytes, randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { writeSecretFile } from '../../tools/files.js';
import { usageError } from '../../tools/tool-error.js';
import { printLine } from '../print.js';
import { parseInteger } from '../units.js';

const SUITES = [
  'sm4-gcm-16',
  'sm4-cbc-hmac-sm3-96',
  'sm4-cbc-hmac-sm3-128',
  'sm4-cbc-hmac-sm3-256',
] as const;
/** Beyond what is reserved, and what people choose by hand. */
const SPI_MIN = 0x1_0000;
const SPI_MAX = 0xffff_ffff;

interface PairOptions {
  id: string;
  addresses: string;
  workers: string;
  suite: (typeof SUITES)[number];
  udp?: boolean;
  output: string;
}
interface Association {
  readonly spi: number;
  readonly key: string;
  readonly salt?: string;
  readonly authentication_key?: string;
}

export function addPair(parent: Command): void {
  parent
    .command('pair')
    .description('write the two ends of a new protection, with fresh keys, to two files')
    .requiredOption('--id <id>', 'ID of the protection at both ends')
    .requiredOption('--addresses <a,b>', 'addresses of the two ends')
    .option('--workers <a,b>', 'workers of the two nodes', '1,1')
    .addOption(new Option('--suite <suite>', 'what protects').choices(SUITES).default(SUITES[0]))
    .option('--udp', 'encapsulate in UDP, port 4500')
    .requiredOption(
      '-o, --output <name>',
      'writes NAME-1.yaml and NAME-2.yaml, for their owner alone',
    )
    .addHelpText(
      'after',
      `
Each file has keys: bring it to its node by a way that nobody listens to, create the protection from
it, and delete it.

Examples:
  sluice protection pair --id 1 --addresses 10.0.0.1,10.0.0.2 -o n9
  sluice protection create -f n9-1.yaml --api upf1:50051
  sluice protection create -f n9-2.yaml --api upf2:50051`,
    )
    .action((options: PairOptions) => writePair(options));
}

function writePair(options: PairOptions): void {
  const id = parseInteger(options.id, '--id', 1, 16_384);
  const [first = '', second = '', ...more] = options.addresses.split(',');
  if (isIP(first) === 0 || isIP(first) !== isIP(second) || more.length > 0) {
    throw usageError('--addresses: give two addresses of one family, such as 10.0.0.1,10.0.0.2');
  }
  const counts = options.workers.split(',').map((text) => parseInteger(text, '--workers', 1, 64));
  if (counts.length !== 2) throw usageError('--workers: give a number for each end, such as 1,4');
  const [there, back] = counts.map((count) =>
    Array.from({ length: count }, () => association(options.suite)),
  );
  const base = {
    id,
    suite: options.suite,
    ...(options.udp === true && { udp_encapsulation: true }),
  };
  const ends = [
    { ...base, local_address: first, peer_address: second, outbound: there, inbound: back },
    { ...base, local_address: second, peer_address: first, outbound: back, inbound: there },
  ];
  for (const [position, end] of ends.entries()) {
    const file = `${options.output}-${position + 1}.yaml`;
    writeSecretFile(
      file,
      stringify(end, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' }),
    );
    printLine(`${file}: protection ${id} of ${end.local_address}`);
  }
}

function association(suite: string): Association {
  const spi = randomInt(SPI_MIN, SPI_MAX);
  const key = randomBytes(16).toString('hex');
  if (suite === 'sm4-gcm-16') return { spi, key, salt: randomBytes(4).toString('hex') };
  return { spi, key, authentication_key: randomBytes(32).toString('hex') };
}
