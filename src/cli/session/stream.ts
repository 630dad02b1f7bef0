/** Many sessions at once by StreamSessions: batches, a bounded number of them under way. */
import { ToolError } from '../../tools/tool-error.js';
import type { ApiClient } from '../api/client.js';
import type { FTeid, UeAddress } from '../api/messages.js';

const BATCH = 64;
const UNDER_WAY = 16;

export interface StreamResult {
  code?: number;
  message?: string;
  field?: string;
  chosen_f_teids?: FTeid[];
  ue_address?: UeAddress;
}

/**
 * Sends operations in order and resolves to their results in the same order; the first
 * connection error rejects. `onResult` is called for each as it is acknowledged.
 */
export function streamSessions(
  client: ApiClient,
  operations: readonly object[],
  onResult: (result: StreamResult, index: number) => void = () => {},
): Promise<StreamResult[]> {
  const stream = client.duplex('SessionService', 'StreamSessions');
  const results: StreamResult[] = [];
  let sent = 0;
  let batches = 0;
  const pump = (): void => {
    while (sent < operations.length && batches < UNDER_WAY) {
      const batch = operations.slice(sent, sent + BATCH);
      stream.write({ batch_id: sent + 1, operations: batch, brief: true });
      sent += batch.length;
      batches += 1;
    }
    if (sent >= operations.length && batches === 0) stream.end();
  };
  return new Promise((resolve, reject) => {
    stream.on('data', (reply: { results?: StreamResult[] }) => {
      batches -= 1;
      for (const result of reply.results ?? []) {
        onResult(result, results.length);
        results.push(result);
      }
      pump();
    });
    stream.on('end', () => {
      if (results.length === operations.length) resolve(results);
      else reject(new ToolError('the server ended the stream before its last result'));
    });
    stream.on('error', (error) => reject(client.toToolError(error as never)));
    pump();
  });
}

/** The first result that is not OK, as an error with its field. */
export function firstFailure(results: readonly StreamResult[]): ToolError | undefined {
  const failed = results.find((result) => (result.code ?? 0) !== 0);
  if (failed === undefined) return undefined;
  const { field, message } = failed;
  return new ToolError(field ? `${field}: ${message}` : (message ?? 'the operation failed'));
}
