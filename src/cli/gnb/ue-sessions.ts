/** Sessions of the API as a gNB needs them: looked up, or created for it and deleted after. */
import { usageError } from '../../tools/tool-error.js';
import type { UeSession } from '../../tools/ue-session.js';
import type { ApiClient } from '../api/client.js';
import type { Far, Session } from '../api/messages.js';
import { sessionFromFlags } from '../session/flags.js';

/** What a gNB must know of a session; an error says which part the session lacks. */
export function ueSessionOf(session: Session): UeSession {
  const pdrs = session.pdrs ?? [];
  const uplink = pdrs.find((pdr) => pdr.pdi?.local_f_teid !== undefined);
  const tunnel = (session.fars ?? []).map(accessTunnel).find((header) => header !== undefined);
  const fTeid = uplink?.pdi?.local_f_teid;
  // Both ends of a tunnel are of one family, and the gNB's is the one that was chosen.
  const v6 = tunnel?.ipv6 !== undefined && tunnel.ipv6 !== '';
  const upfAddress = (v6 ? fTeid?.ipv6 : fTeid?.ipv4) ?? '';
  const upfTeid = fTeid?.chosen_teid || fTeid?.teid || 0;
  const lacks = (what: string) => usageError(`session ${session.name} has ${what}`);
  if (upfAddress === '' || upfTeid === 0) throw lacks('no uplink rule with a tunnel of the UPF');
  if (tunnel === undefined) throw lacks('no downlink rule with a tunnel to a gNB');
  const addresses = pdrs.map((pdr) => pdr.pdi?.ue_address);
  const ipv4 = addresses.map((ue) => ue?.ipv4).find((text) => text !== undefined && text !== '');
  const prefix = addresses.map((ue) => ue?.ipv6_prefix).find((text) => text);
  const qfi = (session.qers ?? []).map((qer) => qer.qfi).find((value) => value !== undefined);
  return {
    name: session.name ?? '',
    ipv4: ipv4 ?? '',
    ipv6: prefix === undefined ? '' : firstAddress(prefix),
    upfAddress,
    upfTeid,
    gnbAddress: (v6 ? tunnel.ipv6 : tunnel.ipv4) ?? '',
    gnbTeid: tunnel.teid ?? 0,
    qfi: qfi ?? 0,
  };
}

function accessTunnel(far: Far) {
  const toAccess = far.forward?.destination_interface === 'INTERFACE_ACCESS';
  return toAccess ? far.forward?.outer_header_creation : undefined;
}

/** 2001:db8:0:1::1 of 2001:db8:0:1::/64. */
function firstAddress(prefix: string): string {
  const network = prefix.split('/')[0] ?? '';
  return network.endsWith('::') ? `${network}1` : network.replace(/:0$/, ':1');
}

export async function lookUp(client: ApiClient, names: readonly string[]): Promise<UeSession[]> {
  const found: UeSession[] = [];
  for (const name of names) {
    found.push(ueSessionOf(await client.call<Session>('SessionService', 'GetSession', { name })));
  }
  return found;
}

/** Creates a session for a demonstration: both families if the UPF has pools for both. */
export async function createDemo(client: ApiClient, name: string, gnb: string): Promise<UeSession> {
  const create = (ueIp6: string): Promise<Session> => {
    const session = sessionFromFlags({ name, gnb, ueIp: 'auto', ueIp6 });
    return client.call<Session>('SessionService', 'CreateSession', { session });
  };
  // A UPF without an IPv6 pool refuses the first; what it says to the second counts.
  return ueSessionOf(await create('auto').catch(() => create('none')));
}
