import type { PeerCertificate } from 'node:tls';
import { SluiceError } from '../base/errors.js';

const OWNER_CHARACTERS_MAX = 128;

interface Call {
  getAuthContext(): { sslPeerCertificate?: PeerCertificate };
}

/** Whose sessions a call is about, such as "grpc:smf-1". */
export type OwnerOf = (call: Call) => string;

/** Without client certificates there is one owner: whoever may reach the address. */
export const localOwner: OwnerOf = () => 'grpc:local';

/**
 * The common name of the client's certificate, which the TLS layer has verified.
 * @throws SluiceError permission_denied when the certificate names nobody.
 */
export const certificateOwner: OwnerOf = (call) => {
  const subject = call.getAuthContext().sslPeerCertificate?.subject;
  // Node gives an array when the name occurs more than once: which one speaks is open.
  const name: unknown = subject?.CN;
  const usable = typeof name === 'string' && /^[\x21-\x7e]+$/.test(name);
  if (!usable || name.length > OWNER_CHARACTERS_MAX) {
    throw new SluiceError(
      'permission_denied',
      `the client certificate needs one common name (CN) of 1 to ${OWNER_CHARACTERS_MAX} printable ASCII characters`,
    );
  }
  return `grpc:${name}`;
};
