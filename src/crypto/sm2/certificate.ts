import { type KeyObject, X509Certificate } from 'node:crypto';
import { SluiceError } from '../../base/errors.js';
import { DER_BIT_STRING, DER_SEQUENCE, readSequence } from './der.js';
import { pointOf } from './key-bytes.js';
import { verifyNow } from './signature.js';

/** AlgorithmIdentifier of SM2 with SM3, 1.2.156.10197.1.501, whose NULL may be left out. */
const SM2_WITH_SM3 = ['300a06082a811ccf55018375', '300c06082a811ccf550183750500'];

/** A certificate with an SM2 key. */
export interface Sm2Certificate {
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  readonly publicKey: KeyObject;
  /**
   * Whether the owner of an issuer's key has signed it by SM2 with SM3. It says nothing of the
   * names, dates, uses and revocation.
   * @param id  of the issuer; by default that which GM/T 0015 has
   */
  isSignedBy(issuerKey: KeyObject, id?: string | Uint8Array): boolean;
}

/** @throws SluiceError invalid_argument: no certificate in PEM, or one with another kind of key */
export function readSm2Certificate(pem: string | Buffer): Sm2Certificate {
  const certificate = certificateOf(pem);
  const parts = readSequence(certificate.raw, [DER_SEQUENCE, DER_SEQUENCE, DER_BIT_STRING]);
  pointOf(certificate.publicKey);
  return {
    subject: certificate.subject,
    issuer: certificate.issuer,
    serialNumber: certificate.serialNumber,
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
    publicKey: certificate.publicKey,
    isSignedBy(issuerKey, id) {
      if (parts === undefined) return false;
      const [signed, algorithm, signature] = parts;
      if (!SM2_WITH_SM3.includes(algorithm!.whole.toString('hex'))) return false;
      // The first octet of a BIT STRING says how many bits of the last are none: here 0.
      if (signature!.content[0] !== 0) return false;
      return verifyNow(issuerKey, signed!.whole, signature!.content.subarray(1), id);
    },
  };
}

function certificateOf(pem: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new SluiceError('invalid_argument', `is no certificate (${(error as Error).message})`);
  }
}
