/** Datagrams of N4 as messages of a trace, decoded. */
import { listenText } from '../../base/config/listen.js';
import { describeMessage } from '../../n4/codec/describe.js';
import { timestamp } from '../object-service.js';
import type { N4Datagram, N4Source } from './service.js';
import type { WatchOutput } from './watch-stream.js';

export class TraceOutput implements WatchOutput {
  /** Each takes some 40 µs: 2,000 a second are a tenth of the control thread. */
  readonly most = 40;
  #told = 0;

  constructor(private readonly source: Pick<N4Source, 'nodeIdOf'>) {}

  chunk(datagrams: readonly N4Datagram[], lost: number): object | undefined {
    if (datagrams.length === 0 && lost === this.#told) return undefined;
    this.#told = lost;
    return { messages: datagrams.map((datagram) => this.#message(datagram)), lost };
  }

  #message(datagram: N4Datagram): object {
    const { timeMs, sent, local, localPort, remote, remotePort, bytes } = datagram;
    const described = describeMessage(bytes);
    const faults = described === undefined ? ['shorter than a header'] : (described.faults ?? []);
    return {
      time: timestamp(timeMs),
      sent,
      local: listenText({ kind: 'tcp', host: local, port: localPort }),
      remote: listenText({ kind: 'tcp', host: remote, port: remotePort }),
      nodeId: this.source.nodeIdOf(remote),
      message: described?.message ?? '',
      seid: BigInt(described?.seid ?? 0).toString(),
      sequence: described?.sequence ?? 0,
      elements: JSON.stringify(described?.elements ?? {}),
      faults,
      pfcp: bytes,
    };
  }
}
