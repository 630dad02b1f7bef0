/**
 * Trace and Capture of NodeService: requests checked, the packet path asked, messages made.
 * Owner: the control thread, as everything of the API. Start at {@link sightMethods}.
 */
import type { handleUnaryCall, UntypedHandleCall } from '@grpc/grpc-js';
import { SluiceError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { DatapathStatus } from '../../datapath/datapath.js';
import type { PacketSight, TraceResult } from '../../datapath/packet-sight.js';
import type { SessionEngine } from '../../session/engine.js';
import type { OwnerOf } from '../identity.js';
import { caughtToServiceError } from '../status.js';
import { type CaptureCall, CaptureStream } from './capture-stream.js';

export interface SightParts {
  readonly sight: PacketSight;
  readonly engine: Pick<SessionEngine, 'get'>;
  readonly ownerOf: OwnerOf;
  readonly status: () => DatapathStatus;
  /** Aborts when the server drains. */
  readonly closing: AbortSignal;
  readonly log: Log;
  /** The error of a request whose bytes are no message; undefined: it is one. */
  readonly malformed: (request: unknown) => SluiceError | undefined;
}

interface TraceRequest {
  readonly packet: Uint8Array;
  readonly port: string;
}

/** How often a trace is looked after: the worker has it within one turn of its loop. */
const TRACE_POLL_MS = 1;

export function sightMethods(parts: SightParts): Record<'Trace' | 'Capture', UntypedHandleCall> {
  const trace: handleUnaryCall<TraceRequest, object> = (call, callback) => {
    traced(parts, call.request).then(
      (result) => callback(null, traceMessage(result, parts.status())),
      (error: unknown) => callback(caughtToServiceError(error, parts.log)),
    );
  };
  const capture = (call: CaptureCall): void => {
    try {
      new CaptureStream(call, parts).start();
    } catch (error) {
      call.emit('error', caughtToServiceError(error, parts.log));
    }
  };
  return { Trace: trace as UntypedHandleCall, Capture: capture as UntypedHandleCall };
}

async function traced(parts: SightParts, request: TraceRequest): Promise<TraceResult> {
  const malformed = parts.malformed(request);
  if (malformed !== undefined) throw malformed;
  const { packet, port } = request;
  const trace = fromPacketPath(() => parts.sight.startTrace(packet, portIndex(parts, port)));
  for (;;) {
    const result = fromPacketPath(() => parts.sight.takeTrace(trace));
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, TRACE_POLL_MS));
  }
}

/** Position of a port by its name. @throws SluiceError that lists the ports there are. */
export function portIndex({ status }: Pick<SightParts, 'status'>, name: string): number {
  const names = status().ports.map((port) => port.name);
  const index = names.indexOf(name);
  if (index >= 0) return index;
  throw new SluiceError('invalid_argument', `must be one of the ports: ${names.join(', ')}`, {
    field: 'port',
  });
}

/** What the packet path refuses is the caller's affair, not a defect. */
export function fromPacketPath<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof SluiceError || !(error instanceof Error)) throw error;
    const field = 'field' in error && typeof error.field === 'string' ? error.field : '';
    const code = field === '' ? 'resource_exhausted' : 'invalid_argument';
    throw new SluiceError(code, error.message, { field });
  }
}

function traceMessage(result: TraceResult, { ports }: DatapathStatus): object {
  const outputs = result.outputs.map(({ port, bytes }) => ({
    port: ports[port]?.name ?? '',
    packet: bytes,
  }));
  return {
    steps: result.steps.map((step) => ({ ...step, seid: step.seid.toString() })),
    verdict: result.verdict,
    dropReason: result.dropReason,
    output: outputs[0]?.packet ?? Buffer.alloc(0),
    outputPort: outputs[0]?.port ?? '',
    outputs,
  };
}
