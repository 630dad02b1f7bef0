/** Node ID as a text, for keys of maps, names and logs. Source: TS 29.244 clause 8.2.38. */
import type { MessageReader } from '../message-reader.js';
import { ipv4Text, ipv6Text, parseIpv4, parseIpv6 } from './address-text.js';
import { InstanceText, isLabels, labelsOf } from './instance.js';

const IPV4 = 0;
const IPV6 = 1;
const FQDN = 2;
const FQDN_MAX = 255;
const labels = new InstanceText();

/**
 * An address in its usual form, or a domain name in lower case, as names are compared
 * without regard to case. '': the value is not a Node ID.
 */
export function readNodeId(reader: MessageReader, index: number): string {
  const bytes = reader.bytes;
  const at = reader.valueAt[index]! + 1;
  const length = reader.valueLength[index]! - 1;
  switch (reader.u8(index) & 15) {
    case IPV4:
      return length < 4 ? '' : ipv4Text(bytes, at);
    case IPV6:
      return length < 16 ? '' : ipv6Text(bytes, at);
    case FQDN:
      if (length > FQDN_MAX || !isLabels(bytes, at, at + length)) return '';
      labels.decode(bytes, at, length);
      return domainName(labels.toString());
    default:
      return '';
  }
}

/** Node IDs become names of owners and labels of metrics: nothing but names of hosts. */
function domainName(text: string): string {
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(text) ? text.toLowerCase() : '';
}

/** The value of a Node ID from its text; undefined: it is neither an address nor a name. */
export function nodeIdValue(text: string): Uint8Array | undefined {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return Uint8Array.of(IPV4, ...ipv4);
  const ipv6 = parseIpv6(text);
  if (ipv6 !== undefined) return Uint8Array.of(IPV6, ...ipv6);
  const name = labelsOf(text);
  return name === undefined || name.length > FQDN_MAX ? undefined : Uint8Array.of(FQDN, ...name);
}
