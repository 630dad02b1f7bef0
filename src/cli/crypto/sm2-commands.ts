import { Argument, type Command } from 'commander';
import { generateSm4File } from '../../tools/crypto/sealed-files.js';
import { generateSm2Files, signFile, verifyFile } from '../../tools/crypto/sm2-files.js';
import { writeNewFile } from '../../tools/files.js';
import { ToolError, usageError } from '../../tools/tool-error.js';
import { printJson, printLine } from '../print.js';

const DEFAULT_ID = '1234567812345678';
const ID_HELP = `identity of the signer (default: "${DEFAULT_ID}")`;
const PASSPHRASE_HELP = 'file of mode 0600 whose first line is the passphrase of the key';

interface KeygenFlags {
  out?: string;
  publicOut?: string;
  passphraseFile?: string;
  json?: boolean;
}

export function addKeygenCommand(crypto: Command): void {
  crypto
    .command('keygen')
    .description('make a key, and write it to a new file of mode 0600')
    .addArgument(
      new Argument('<kind>', 'sm2: to sign and decrypt with; sm4: to seal files with').choices([
        'sm2',
        'sm4',
      ]),
    )
    .requiredOption('-o, --out <file>', 'where the secret goes')
    .option('--public-out <file>', 'sm2: where the public key goes (default: <out>.pub)')
    .option('--passphrase-file <file>', `sm2: ${PASSPHRASE_HELP}`)
    .addHelpText(
      'after',
      `
An SM2 key is PKCS #8 in PEM, the public one SubjectPublicKeyInfo in PEM, as openssl writes and
reads them. With --passphrase-file the key is encrypted by AES-256-CBC. Random numbers are those of
OpenSSL. A fresh SM2 key is tried before it is written: what it signs and encrypts has to verify and
decrypt. An SM4 key is 32 hexadecimal digits. A file that is there is never overwritten.

Examples:
  sluice crypto keygen sm4 -o node.key
  sluice crypto keygen sm2 -o upf.pem
  sluice crypto keygen sm2 -o upf.pem --public-out upf.pub.pem --passphrase-file phrase
  openssl pkey -in upf.pem -noout -text`,
    )
    .action(async (kind: 'sm2' | 'sm4', _: unknown, own: Command) => {
      const flags = own.optsWithGlobals<KeygenFlags>();
      const out = flags.out!;
      if (kind === 'sm4') {
        if (flags.publicOut !== undefined || flags.passphraseFile !== undefined) {
          throw usageError('--public-out and --passphrase-file are for sm2');
        }
        generateSm4File(out);
        if (flags.json === true) printJson({ kind, key: out });
        else printLine(`${out}: the secret key (mode 0600)`);
        return;
      }
      const publicOut = flags.publicOut ?? `${out}.pub`;
      await generateSm2Files({ out, publicOut, passphraseFile: flags.passphraseFile });
      if (flags.json === true) printJson({ kind, key: out, public_key: publicOut });
      else printLine(`${out}: the secret key (mode 0600)\n${publicOut}: the public key`);
    });
}

interface SignFlags {
  key: string;
  id?: string;
  out?: string;
  passphraseFile?: string;
  signature?: string;
  json?: boolean;
}

export function addSignCommand(crypto: Command): void {
  crypto
    .command('sign')
    .description('sign a file by SM2 with SM3')
    .argument('<file>', 'what to sign, of any size; - for standard input')
    .requiredOption('--key <file>', 'SM2 key in PEM, of mode 0600')
    .option('--passphrase-file <file>', PASSPHRASE_HELP)
    .option('--id <text>', ID_HELP)
    .option('-o, --out <file>', 'where the signature goes; - for stdout (default: <file>.sig)')
    .addHelpText(
      'after',
      `
The signature is that of GB/T 32918.2 with SM3: r and s as a DER SEQUENCE. It is over the identity
and the public key too (Z), so both sides have to use the same --id.

Examples:
  sluice crypto sign report.csv --key upf.pem
  sluice crypto sign report.csv --key upf.pem --id upf-1@example.org -o report.sig
  tar c logs | sluice crypto sign - --key upf.pem -o logs.sig
  openssl pkeyutl -verify -rawin -digest sm3 -pkeyopt distid:${DEFAULT_ID} \\
    -in report.csv -pubin -inkey upf.pem.pub -sigfile report.csv.sig`,
    )
    .action(async (file: string, _: unknown, own: Command) => {
      const { key, id, out, passphraseFile, json } = own.optsWithGlobals<SignFlags>();
      const output = out ?? `${file}.sig`;
      if (file === '-' && out === undefined) {
        throw usageError('say where the signature goes: -o FILE, or -o - for stdout');
      }
      const signature = await signFile({ input: file, keyFile: key, passphraseFile, id });
      if (output === '-') process.stdout.write(signature);
      else {
        writeNewFile(output, signature);
        if (json === true) printJson({ signature: output, bytes: signature.length });
        else printLine(`${output}: the signature, ${signature.length} bytes`);
      }
    });
}

export function addVerifyCommand(crypto: Command): void {
  crypto
    .command('verify')
    .description('check the SM2 signature of a file')
    .argument('<file>', 'what was signed; - for standard input')
    .requiredOption('--key <file>', "signer's public key or certificate in PEM")
    .option('--signature <file>', 'the signature in DER (default: <file>.sig)')
    .option('--id <text>', ID_HELP)
    .addHelpText(
      'after',
      `
A certificate is taken for its key alone: who has issued it, and whether it is still valid, is not
looked at.

With --json: {"verified": true or false}.

Exit codes: 0 the signature is good, 1 it is not, or a file cannot be used, 2 wrong usage.

Examples:
  sluice crypto verify report.csv --key upf.pem.pub
  sluice crypto verify report.csv --key upf.crt --id upf-1@example.org --signature report.sig`,
    )
    .action(async (file: string, _: unknown, own: Command) => {
      const { key, id, signature, json } = own.optsWithGlobals<SignFlags>();
      if (file === '-' && signature === undefined) {
        throw usageError('name the signature: --signature FILE');
      }
      const signatureFile = signature ?? `${file}.sig`;
      const verified = await verifyFile({ input: file, keyFile: key, signatureFile, id });
      if (json === true) printJson({ verified });
      if (!verified) {
        throw new ToolError(
          `${signatureFile} is no signature of ${file} by the owner of ${key} with this identity`,
        );
      }
      if (json !== true) printLine('the signature is good');
    });
}
