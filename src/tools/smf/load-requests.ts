/**
 * The requests of a load, encoded once: sessions as SMFs ask for them, with two PDRs, two FARs,
 * a QER and a URR. What differs between sessions is patched natively. Pure; any thread.
 */
import { type Description, encodeMessage } from '../../n4/codec/describe.js';
import * as Ie from '../../n4/codec/ie.js';
import { MessageReader } from '../../n4/codec/message-reader.js';
import type { Patch, RequestTemplate } from './smf-addon.js';

export interface LoadSessions {
  /** Our own address: Node ID, and where the UPF reaches us. */
  readonly own: string;
  /** Seconds since 1970. */
  readonly startedAt: number;
  /** Address of the first UE; the others follow it. */
  readonly firstUe: string;
  /** Of the UPF's core side. */
  readonly networkInstance: string;
  /** Of its access side; '': none is sent. */
  readonly accessInstance: string;
  /** Where downlink packets go; of the same family as the UPF's access address. */
  readonly gnb: string;
}

const TOP = -1;
const QFI = 9;
const SESSION_KBPS = 1_000_000;
/** Far more than anybody sends: a load measures no reports. */
const THRESHOLD_BYTES = 1_000_000_000_000;
const FIRST_TEID = 0x1000_0000;

const v6 = (address: string): boolean => address.includes(':');
const nodeId = (address: string) =>
  v6(address) ? { type: 'IPv6', ipv6: address } : { type: 'IPv4', ipv4: address };

export function associationSetup({ own, startedAt }: LoadSessions): RequestTemplate {
  return plain({
    message: 'Association Setup Request',
    elements: {
      'Node ID': nodeId(own),
      'Recovery Time Stamp': new Date(startedAt * 1000).toISOString(),
    },
  });
}

export function associationRelease({ own }: LoadSessions): RequestTemplate {
  return plain({ message: 'Association Release Request', elements: { 'Node ID': nodeId(own) } });
}

export function establishment(sessions: LoadSessions): RequestTemplate {
  const { own, firstUe } = sessions;
  const request = encodeMessage({
    message: 'Session Establishment Request',
    elements: {
      'Node ID': nodeId(own),
      'F-SEID': v6(own)
        ? { flags: ['V6'], seid: '0x0', ipv6: own }
        : { flags: ['V4'], seid: '0x0', ipv4: own },
      'Create PDR': [uplinkPdr(sessions), downlinkPdr(sessions)],
      'Create FAR': [
        {
          'FAR ID': 1,
          'Apply Action': ['FORW'],
          'Forwarding Parameters': {
            'Destination Interface': 'Core',
            'Network Instance': sessions.networkInstance,
          },
        },
        {
          'FAR ID': 2,
          'Apply Action': ['FORW'],
          'Forwarding Parameters': toGnb(sessions),
        },
      ],
      'Create URR': [
        {
          'URR ID': 1,
          'Measurement Method': ['VOLUM'],
          'Reporting Triggers': ['VOLTH'],
          'Volume Threshold': { flags: ['TOVOL'], total: THRESHOLD_BYTES },
        },
      ],
      'Create QER': [
        {
          'QER ID': 1,
          'Gate Status': { uplink: 'open', downlink: 'open' },
          MBR: { uplinkKbps: SESSION_KBPS, downlinkKbps: SESSION_KBPS },
          QFI,
        },
      ],
      'PDN Type': v6(firstUe) ? 'IPv6' : 'IPv4',
    },
  });
  return { request, patches: sessionPatches(request, firstUe) };
}

function sessionPatches(request: Uint8Array, firstUe: string): Patch[] {
  const reader = read(request);
  const seid = reader.valueAt[reader.find(TOP, Ie.FSeid)]! + 1;
  const patches: Patch[] = [{ kind: 'cpSeid', offset: seid }];
  // An IPv4 address counts up in its only word, a /64 in the last word of its prefix.
  const word = v6(firstUe) ? 1 + 4 : 1;
  const group = (type: number, each: (group: number) => void): void => {
    for (let at = reader.find(TOP, type); at >= 0; at = reader.findNext(TOP, at, type)) each(at);
  };
  group(Ie.CreatePdr, (pdr) => {
    const pdi = reader.find(pdr, Ie.Pdi);
    const address = reader.valueAt[reader.find(pdi, Ie.UeIpAddress)]!;
    patches.push({ kind: 'session', offset: address + word });
  });
  group(Ie.CreateFar, (far) => {
    const header = reader.find(reader.find(far, Ie.ForwardingParameters), Ie.OuterHeaderCreation);
    if (header >= 0) patches.push({ kind: 'session', offset: reader.valueAt[header]! + 2 });
  });
  return patches;
}

function uplinkPdr({ firstUe, accessInstance, gnb }: LoadSessions) {
  return {
    'PDR ID': 1,
    Precedence: 255,
    PDI: {
      'Source Interface': 'Access',
      'F-TEID': { flags: [v6(gnb) ? 'V6' : 'V4', 'CH'] },
      ...(accessInstance === '' ? {} : { 'Network Instance': accessInstance }),
      'UE IP Address': ueAddress(firstUe, []),
      'SDF Filter': anything(),
      QFI,
    },
    'Outer Header Removal': { description: v6(gnb) ? 'GTP-U/UDP/IPv6' : 'GTP-U/UDP/IPv4' },
    'FAR ID': 1,
    'URR ID': [1],
    'QER ID': [1],
  };
}

function downlinkPdr({ firstUe, networkInstance }: LoadSessions) {
  return {
    'PDR ID': 2,
    Precedence: 255,
    PDI: {
      'Source Interface': 'Core',
      'Network Instance': networkInstance,
      'UE IP Address': ueAddress(firstUe, ['S/D']),
      'SDF Filter': anything(),
    },
    'FAR ID': 2,
    'URR ID': [1],
    'QER ID': [1],
  };
}

function anything() {
  return { flags: ['FD'], flowDescription: 'permit out ip from any to assigned' };
}

function ueAddress(address: string, flags: readonly string[]) {
  return v6(address)
    ? { flags: ['V6', ...flags], ipv6: address }
    : { flags: ['V4', ...flags], ipv4: address };
}

function toGnb({ gnb }: LoadSessions) {
  const header = v6(gnb) ? { flags: ['GTPU6'], ipv6: gnb } : { flags: ['GTPU4'], ipv4: gnb };
  return {
    'Destination Interface': 'Access',
    'Outer Header Creation': { ...header, teid: `0x${FIRST_TEID.toString(16)}` },
  };
}

/** A handover: another tunnel to the gNB each time that one is sent. */
export function modification(sessions: LoadSessions): RequestTemplate {
  const request = encodeMessage({
    message: 'Session Modification Request',
    elements: {
      'Update FAR': [
        {
          'FAR ID': 2,
          'Apply Action': ['FORW'],
          'Update Forwarding Parameters': toGnb(sessions),
        },
      ],
    },
  });
  const reader = read(request);
  const parameters = reader.find(reader.find(TOP, Ie.UpdateFar), Ie.UpdateForwardingParameters);
  const offset = reader.valueAt[reader.find(parameters, Ie.OuterHeaderCreation)]! + 2;
  return { request, patches: [{ kind: 'sequence', offset }] };
}

export function deletion(): RequestTemplate {
  return plain({ message: 'Session Deletion Request', elements: {} });
}

function plain(description: Description): RequestTemplate {
  return { request: encodeMessage(description), patches: [] };
}

function read(request: Uint8Array): MessageReader {
  const reader = new MessageReader();
  if (reader.read(request, 0, request.length)) return reader;
  throw new Error(`a request that nobody reads: cause ${reader.cause}, IE ${reader.offendingIe}`);
}
