/** Reports of the packet path as fields that tests compare, by the names of the API. */
import { EventKind, EventWord } from '../src/datapath/datapath.js';
import { USAGE_PART_WORD } from '../src/datapath/usage-event.js';
import { formatAddress } from './wire/address.js';

/** By their numbers in the proto file. */
const TRIGGERS = [
  'unspecified',
  'periodic',
  'volume_threshold',
  'time_threshold',
  'volume_quota',
  'time_quota',
  'immediate',
  'termination',
  'start',
  'stop',
  'linked',
  'monitoring_time',
  'quota_holding_time',
  'quota_validity_time',
  'dropped_downlink',
  'end_marker',
  'envelope_closure',
];
const PARTS = ['', 'before_monitoring_time', 'after_monitoring_time'];

export interface UsageFields {
  readonly urr: number;
  readonly sequence: number;
  readonly triggers: readonly string[];
  /** '' when there is but one */
  readonly part: string;
  readonly uplink_bytes: number;
  readonly downlink_bytes: number;
  readonly uplink_packets: number;
  readonly downlink_packets: number;
  readonly start_ns: number;
  readonly end_ns: number;
  readonly duration_ns: number;
}
export type ReportFields =
  | { readonly usage: UsageFields }
  | { readonly downlink_data: { readonly pdr: number; readonly qfi: number } }
  | { readonly error_indication: { readonly teid: number; readonly peer: string } }
  | { readonly inactivity: { readonly urr: number } };

const WORD = 2 ** 32;

export function reportFields(event: Uint32Array): ReportFields {
  const id = event[EventWord.Id]!;
  switch (event[EventWord.Kind]! as EventKind) {
    case EventKind.Usage:
      return { usage: usageFields(event) };
    case EventKind.DownlinkData:
      return { downlink_data: { pdr: id, qfi: event[EventWord.Qfi]! } };
    case EventKind.ErrorIndication: {
      const words = event.subarray(EventWord.Address, EventWord.Address + 4);
      const count = event[EventWord.Qfi] === 1 ? 4 : 1;
      const bytes = [...words.subarray(0, count)].flatMap((word) =>
        [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff),
      );
      return { error_indication: { teid: id, peer: formatAddress(Uint8Array.from(bytes)) } };
    }
    case EventKind.Inactivity:
      return { inactivity: { urr: id } };
  }
}

export function usageFields(event: Uint32Array): UsageFields {
  const wide = (word: EventWord) => event[word]! + event[word + 1]! * WORD;
  const triggers = event[EventWord.Triggers]!;
  return {
    urr: event[EventWord.Id]!,
    sequence: event[EventWord.Sequence]!,
    triggers: TRIGGERS.filter((_, i) => (triggers >>> i) & 1),
    part: PARTS[event[USAGE_PART_WORD]!]!,
    uplink_bytes: wide(EventWord.UplinkBytes),
    downlink_bytes: wide(EventWord.DownlinkBytes),
    uplink_packets: wide(EventWord.UplinkPackets),
    downlink_packets: wide(EventWord.DownlinkPackets),
    start_ns: wide(EventWord.StartTime),
    end_ns: wide(EventWord.EndTime),
    duration_ns: wide(EventWord.Duration),
  };
}
