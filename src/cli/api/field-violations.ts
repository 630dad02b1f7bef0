/** Reads google.rpc.BadRequest out of the status details of a failed gRPC call. */
import type { Metadata } from '@grpc/grpc-js';
import { fromJSON, type MessageTypeDefinition } from '@grpc/proto-loader';

export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

const ANY = { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } };
const VIOLATION = { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } };

/** google/rpc/status.proto and error_details.proto, as far as they are needed here. */
const RPC = {
  nested: {
    rpc: {
      nested: {
        Any: { fields: ANY },
        Status: {
          fields: {
            code: { type: 'int32', id: 1 },
            message: { type: 'string', id: 2 },
            details: { rule: 'repeated', type: 'Any', id: 3 },
          },
        },
        FieldViolation: { fields: VIOLATION },
        BadRequest: {
          fields: { field_violations: { rule: 'repeated', type: 'FieldViolation', id: 1 } },
        },
      },
    },
  },
} as const;

interface Status {
  details: { type_url: string; value: Buffer }[];
}
interface BadRequest {
  field_violations: FieldViolation[];
}

/** All field violations that the status carries; none when it carries no readable details. */
export function fieldViolations(metadata: Metadata): FieldViolation[] {
  const [bytes] = metadata.get('grpc-status-details-bin');
  if (!Buffer.isBuffer(bytes)) return [];
  const types = fromJSON(RPC, { keepCase: true, defaults: true });
  const status = types['rpc.Status'] as MessageTypeDefinition<object, Status>;
  const badRequest = types['rpc.BadRequest'] as MessageTypeDefinition<object, BadRequest>;
  try {
    return status
      .deserialize(bytes)
      .details.filter((detail) => detail.type_url.endsWith('/google.rpc.BadRequest'))
      .flatMap((detail) => badRequest.deserialize(detail.value).field_violations);
  } catch {
    // Details that do not decode are no reason to hide the status message itself.
    return [];
  }
}
