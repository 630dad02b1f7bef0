/** Which class a datagram is of, by its first octets; the same table as native/datagram. Pure. */
import { DatagramClass } from './transport.js';

/** PFCP message types, TS 29.244 clause 7.3. */
const SESSION_ESTABLISHMENT_REQUEST = 50;
const SESSION_MODIFICATION_REQUEST = 52;
const PFD_MANAGEMENT_REQUEST = 3;
const LAST_NODE_MESSAGE = 15;
const LAST_SESSION_MESSAGE = 57;

/**
 * Responses are of the first class: they end what this node has begun. So are all messages
 * about nodes but PFD Management, since they are rare and much hangs on them.
 */
export function datagramClass(bytes: Uint8Array, start: number, length: number): DatagramClass {
  if (length < 8) return DatagramClass.Establishment;
  const type = bytes[start + 1]!;
  if (type === PFD_MANAGEMENT_REQUEST || type === SESSION_MODIFICATION_REQUEST)
    return DatagramClass.Modification;
  if (type >= 1 && type <= LAST_NODE_MESSAGE) return DatagramClass.Control;
  if (type > SESSION_ESTABLISHMENT_REQUEST && type <= LAST_SESSION_MESSAGE)
    return DatagramClass.Control;
  return DatagramClass.Establishment;
}
