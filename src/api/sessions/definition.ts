import type { ServiceDefinition } from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;

interface RawMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: typeof identity;
  readonly requestDeserialize: typeof identity;
  readonly responseSerialize: typeof identity;
  readonly responseDeserialize: typeof identity;
}

function method(name: string, streams: 'unary' | 'bidi' = 'unary'): RawMethod {
  return {
    path: `/sluice.v1.SessionService/${name}`,
    requestStream: streams === 'bidi',
    responseStream: streams === 'bidi',
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

/**
 * sluice.v1.SessionService with messages as the bytes they are: requests go from the wire
 * into records, and records to the wire, with no JavaScript object in between.
 * definition.test.ts holds it against the proto file.
 */
export const sessionServiceDefinition = {
  CreateSession: method('CreateSession'),
  UpdateSession: method('UpdateSession'),
  GetSession: method('GetSession'),
  ListSessions: method('ListSessions'),
  DeleteSession: method('DeleteSession'),
  StreamSessions: method('StreamSessions', 'bidi'),
  WatchReports: method('WatchReports', 'bidi'),
} satisfies ServiceDefinition;
