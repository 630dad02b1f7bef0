/**
 * The account of every packet, with the keys that `stats --json` and `replay --json`
 * share: rx + created = the sum of tx + held + the sum of dropped. Pure.
 */
export interface PacketCounts {
  readonly rx: number;
  readonly created: number;
  readonly tx: Readonly<Record<string, number>>;
  readonly held: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/** What a source of statistics must say, as numbers or as decimal text. */
export interface CountsSource {
  readonly ports: readonly {
    readonly name: string;
    readonly rxPackets: number;
    readonly txPackets: number;
  }[];
  readonly dropped: Readonly<Record<string, number>>;
  readonly created: number;
  readonly held: number;
}

export function packetCounts(source: CountsSource): PacketCounts {
  const dropped = Object.entries(source.dropped).filter(([, count]) => count > 0);
  return {
    rx: source.ports.reduce((sum, port) => sum + port.rxPackets, 0),
    created: source.created,
    tx: Object.fromEntries(source.ports.map((port) => [port.name, port.txPackets])),
    held: source.held,
    dropped: Object.fromEntries(dropped.sort(([, a], [, b]) => b - a)),
  };
}

/** Packets that the account does not explain; 0 unless packets are under way right now. */
export function unaccounted(counts: PacketCounts): number {
  const sum = (parts: Readonly<Record<string, number>>) =>
    Object.values(parts).reduce((total, part) => total + part, 0);
  return counts.rx + counts.created - sum(counts.tx) - counts.held - sum(counts.dropped);
}
