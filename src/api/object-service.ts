/**
 * Services whose messages are objects, made from the proto file: what is asked for seldom. A
 * request whose bytes are no message reaches its handler as {@link MALFORMED}, so that it is
 * answered like any other mistake.
 */
import type { handleUnaryCall, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { SluiceError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { PROTO_FILE, PROTO_FOLDER } from './proto-files.js';
import { caughtToServiceError } from './status.js';

/** Stands for a request whose bytes are no message. */
export const MALFORMED = Symbol('malformed request');
export type Request<T> = T | typeof MALFORMED;

export function malformed(): SluiceError {
  return new SluiceError('invalid_argument', 'the request is not a well-formed protobuf message');
}

/** @param name  such as "sluice.v1.NodeService" */
export function objectServiceDefinition(name: string): ServiceDefinition {
  const package_ = loadSync(PROTO_FILE, {
    includeDirs: [PROTO_FOLDER],
    // 64-bit identifiers are none of JavaScript's numbers.
    longs: String,
    enums: String,
    defaults: true,
  });
  const service = package_[name] as unknown as ServiceDefinition;
  return Object.fromEntries(
    Object.entries(service).map(([method, definition]) => {
      const decode = definition.requestDeserialize;
      const requestDeserialize = (bytes: Buffer): unknown => {
        try {
          return decode(bytes);
        } catch {
          return MALFORMED;
        }
      };
      return [method, { ...definition, requestDeserialize }];
    }),
  );
}

/** A call with one answer, at once or later. */
export function unary<T extends object>(
  answer: (request: T) => unknown,
  log: Log,
): handleUnaryCall<Request<T>, unknown> {
  const answered = async (request: Request<T>): Promise<unknown> => {
    if (request === MALFORMED) throw malformed();
    return answer(request);
  };
  return (call, callback) => {
    answered(call.request).then(
      (value) => callback(null, value),
      (error: unknown) => callback(caughtToServiceError(error, log)),
    );
  };
}

/** Milliseconds since 1970 as google.protobuf.Timestamp. */
export function timestamp(ms: number): { seconds: number; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
