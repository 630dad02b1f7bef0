import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { finishSm3, startSm3 } from '../../../crypto/sm3-state.js';
import { sealNow } from '../../../crypto/sm4/gcm-now.js';
import { type Candidate, calling } from './measure.js';

export const NODE_CRYPTO = 'node:crypto';
export const SM_CRYPTO = 'sm-crypto-v2';
/** Our kernels, called from JavaScript. */
export const SLUICE_JS = 'sluice (js)';

type SmCrypto = typeof import('sm-crypto-v2');
export const smCrypto = (): SmCrypto => createRequire(import.meta.url)('sm-crypto-v2') as SmCrypto;

/** What the others, and we from JavaScript, have to set against a mode. */
export function opponentsOf(mode: string, bytes: number): Candidate[] {
  const make = OPPONENTS[mode];
  return make === undefined ? [] : make(bytes);
}

const key = randomBytes(16);
const iv = randomBytes(16);
const nonce = randomBytes(12);

/** A tool that counts IVs up would have a new one each time; a library does the same work for any. */
const OPPONENTS: Readonly<Record<string, (bytes: number) => Candidate[]>> = {
  'sm4-ecb': (bytes) => {
    const message = randomBytes(bytes & ~15);
    return [
      calling(NODE_CRYPTO, () => encrypt('sm4-ecb', null, message)),
      calling(SM_CRYPTO, () => smBlocks(message, {})),
    ];
  },
  'sm4-cbc-encrypt': (bytes) => {
    const message = randomBytes(bytes & ~15);
    return [
      calling(NODE_CRYPTO, () => encrypt('sm4-cbc', iv, message)),
      calling(SM_CRYPTO, () => smBlocks(message, { mode: 'cbc', iv })),
    ];
  },
  'sm4-cbc-decrypt': (bytes) => {
    const message = randomBytes(bytes & ~15);
    return [
      calling(NODE_CRYPTO, () => {
        const cipher = createDecipheriv('sm4-cbc', key, iv).setAutoPadding(false);
        cipher.update(message);
        cipher.final();
      }),
      calling(SM_CRYPTO, () => {
        smCrypto().sm4.decrypt(message, key, { mode: 'cbc', iv, padding: 'none', output: 'array' });
      }),
    ];
  },
  'sm4-ctr': (bytes) => {
    const message = randomBytes(bytes);
    return [calling(NODE_CRYPTO, () => encrypt('sm4-ctr', iv, message))];
  },
  'sm4-gcm': (bytes) => {
    const message = randomBytes(bytes);
    return [
      calling(SLUICE_JS, () => sealNow(key, message)),
      calling(SM_CRYPTO, () => {
        smCrypto().sm4.encrypt(message, key, {
          mode: 'gcm',
          iv: nonce,
          output: 'array',
          outputTag: true,
        });
      }),
    ];
  },
  sm3: (bytes) => {
    const message = randomBytes(bytes);
    return [
      calling(SLUICE_JS, () => finishSm3(startSm3(), message)),
      calling(NODE_CRYPTO, () => createHash('sm3').update(message).digest()),
      calling(SM_CRYPTO, () => smCrypto().sm3(message)),
    ];
  },
  'hmac-sm3': (bytes) => {
    const message = randomBytes(bytes);
    return [
      calling(SLUICE_JS, () => finishSm3(startSm3(key), message)),
      calling(NODE_CRYPTO, () => createHmac('sm3', key).update(message).digest()),
      calling(SM_CRYPTO, () => smCrypto().sm3(message, { key, mode: 'hmac' })),
    ];
  },
};

function encrypt(name: string, start: Buffer | null, message: Buffer): void {
  const cipher = createCipheriv(name, key, start).setAutoPadding(false);
  cipher.update(message);
  cipher.final();
}

function smBlocks(message: Buffer, options: { mode?: 'cbc'; iv?: Buffer }): void {
  smCrypto().sm4.encrypt(message, key, { ...options, padding: 'none', output: 'array' });
}
