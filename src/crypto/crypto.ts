/**
 * Cryptography for the rest of the system: SM2, SM3, HMAC-SM3 and SM4-GCM over buffers and streams. Small
 * work is done at once, all else on the pool of threads; one pool serves everybody. Any thread may
 * call, and each has a pool of its own. Random numbers are OpenSSL's. Start here; docs/SM4.md says
 * what is standard and what is not.
 */
export { closePool } from './pool/pool.js';
export type { Source, WorkOptions } from './pool/source.js';
export type { Sm2Certificate } from './sm2/certificate.js';
export type { Sm2KeyOptions, Sm2KeyPair } from './sm2/keys.js';
export { type SignatureOptions, sm2 } from './sm2/sm2.js';
export { hmacSm3, sm3 } from './sm3.js';
export { type GcmOptions, sm4Gcm } from './sm4/gcm.js';
export type { SealOptions } from './sm4/sealed-stream.js';
