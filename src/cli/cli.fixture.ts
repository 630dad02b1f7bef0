/** What tests of commands share: what a command writes, and a server of the API for it to call. */
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, beforeEach, vi } from 'vitest';
import { packageRoot } from './api/client.js';

export interface Written {
  out: string;
  err: string;
}

/** What process.stdout and process.stderr get, in each test of the file afresh. */
export function catchOutput(): Written {
  const written: Written = { out: '', err: '' };
  beforeEach(() => {
    Object.assign(written, { out: '', err: '' });
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.err += String(text);
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return written;
}

/**
 * A service of the API by its name, as in the proto file.
 * @param defaults  fields that a request leaves out have their default.
 */
export function serviceOf(name: string, defaults = false): grpc.ServiceDefinition {
  const definitions = loadSync('sluice/v1/sluice.proto', {
    keepCase: true,
    longs: String,
    defaults,
    includeDirs: [join(packageRoot(), 'proto')],
  });
  return definitions[`sluice.v1.${name}`] as grpc.ServiceDefinition;
}

/** Opens the server on a port of its own; returns its address. */
export async function listen(server: grpc.Server): Promise<string> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return `127.0.0.1:${port}`;
}
