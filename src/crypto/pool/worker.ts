import type { KeyObject } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { SluiceError } from '../../base/errors.js';
import { decryptNow, encryptNow } from '../sm2/encryption.js';
import { generateSm2Keys, type Sm2KeyPair } from '../sm2/keys.js';
import { Sm2Signer, Sm2Verifier } from '../sm2/signature.js';
import { absorbSm3, type Sm3Progress, wipe } from '../sm3-state.js';
import { openNow, sealNow } from '../sm4/gcm-now.js';
import { type ChunkRun, openChunks, sealChunks } from '../sm4/sealed-format.js';
import { type MovedMessage, takeMessage } from './moved-message.js';

/** What a thread of the pool can do, by name: the task and what comes of it. */
interface Work {
  absorbSm3: {
    task: { readonly progress: Sm3Progress; readonly blocks: Uint8Array };
    outcome: Sm3Progress;
  };
  generateSm2: { task: object; outcome: Sm2KeyPair };
  signSm2: { task: SignatureTask; outcome: Uint8Array };
  verifySm2: { task: SignatureTask & { readonly signature: Uint8Array }; outcome: boolean };
  encryptSm2: { task: KeyTask; outcome: Uint8Array };
  decryptSm2: { task: KeyTask; outcome: Uint8Array };
  sealSm4: { task: GcmTask; outcome: Uint8Array<ArrayBuffer> };
  openSm4: { task: GcmTask; outcome: Uint8Array<ArrayBuffer> };
  sealChunks: { task: ChunkRun; outcome: Uint8Array<ArrayBuffer> };
  openChunks: { task: ChunkRun; outcome: Uint8Array<ArrayBuffer> };
}

interface SignatureTask {
  readonly key: KeyObject;
  readonly id: string | Uint8Array | undefined;
  readonly message: MovedMessage;
}
interface KeyTask {
  readonly key: KeyObject;
  readonly bytes: Uint8Array;
}
interface GcmTask {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
  readonly aad: Uint8Array | undefined;
}

export type Kind = keyof Work;
export type TaskOf<K extends Kind> = { readonly kind: K } & Work[K]['task'];
export type Task = { [K in Kind]: TaskOf<K> }[Kind];
export type Outcome<K extends Kind> = Work[K]['outcome'];

type Doing = {
  readonly [K in Kind]: (task: TaskOf<K>) => Outcome<K> | Promise<Outcome<K>>;
};

const doing: Doing = {
  absorbSm3: ({ progress, blocks }) => absorbSm3(progress, blocks),
  generateSm2: () => generateSm2Keys(),
  signSm2: async ({ key, id, message }) => {
    const signer = new Sm2Signer(key, id);
    await takeMessage(message, (part) => signer.update(part));
    return signer.finish();
  },
  verifySm2: async ({ key, id, message, signature }) => {
    const verifier = new Sm2Verifier(key, id);
    await takeMessage(message, (part) => verifier.update(part));
    return verifier.finish(signature);
  },
  encryptSm2: ({ key, bytes }) => encryptNow(key, bytes),
  decryptSm2: ({ key, bytes }) => decryptNow(key, bytes),
  sealSm4: ({ key, bytes, aad }) => withKey(key, () => sealNow(key, bytes, aad)),
  openSm4: ({ key, bytes, aad }) => withKey(key, () => openNow(key, bytes, aad)),
  sealChunks: (run) => withKey(run.chunkKey, () => sealChunks(run)),
  openChunks: (run) => withKey(run.chunkKey, () => openChunks(run)),
};

function isProgress(value: unknown): value is Sm3Progress {
  return typeof value === 'object' && value !== null && 'state' in value;
}

/** A key that came here as bytes is this thread's, and ends with the task. */
function withKey<T>(key: Uint8Array, work: () => T): T {
  try {
    return work();
  } finally {
    wipe(key);
  }
}

/** Results go to the caller without a copy, so that none of a secret stays here. */
function moved(value: unknown): unknown {
  const answer = { value };
  const bytes = isProgress(value) ? value.state : value;
  // What lies in a pool of Node's, as OpenSSL's signatures do, cannot leave it.
  if (!(bytes instanceof Uint8Array) || bytes.byteLength !== bytes.buffer.byteLength) return answer;
  return Piscina.move({
    [Piscina.transferableSymbol]: [bytes.buffer],
    [Piscina.valueSymbol]: answer,
  } as never);
}

/** The entry of a thread: classes don't survive the way between threads, so refusals go as data. */
export default async function work(task: Task): Promise<unknown> {
  try {
    return moved(await doing[task.kind](task as never));
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    const { code, message, field } = error;
    return { refused: { code, message, field } };
  } finally {
    const { message } = task as { readonly message?: MovedMessage };
    if (message !== undefined && 'close' in message) (message as MessagePort).close();
  }
}
