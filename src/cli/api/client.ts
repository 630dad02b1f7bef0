/**
 * The client of the public gRPC API, made from the proto file at start (no generated
 * code): unary calls, the two streams, and errors turned into sentences for people.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { unusable } from '../../tools/files.js';
import { ToolError, usageError } from '../../tools/tool-error.js';
import { fieldViolations } from './field-violations.js';
import { ProtoJson } from './proto-json.js';

export const DEFAULT_API_ADDRESS = '127.0.0.1:50051';

export interface ApiOptions {
  readonly api?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** No node answers; another attempt may go well. */
export class NodeUnavailable extends ToolError {}

type Service = 'SessionService' | 'NodeService' | 'N4Service' | 'ProtectionService';
type Methods = Record<string, (...args: unknown[]) => unknown>;

/** The folder of package.json, from the sources as well as from the compiled files. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

export class ApiClient {
  readonly address: string;
  readonly json: ProtoJson;
  private readonly definitions: PackageDefinition;
  private readonly services = new Map<Service, grpc.Client>();
  private readonly credentials: grpc.ChannelCredentials;

  constructor(options: ApiOptions) {
    this.address = options.api ?? process.env.SLUICE_API ?? DEFAULT_API_ADDRESS;
    if (!isApiAddress(this.address)) {
      const flag = options.api === undefined ? 'SLUICE_API' : '--api';
      throw usageError(`${flag}: must be host:port or unix:PATH, not "${this.address}"`);
    }
    this.credentials = credentialsOf(options);
    this.definitions = loadSync('sluice/v1/sluice.proto', {
      keepCase: true,
      longs: String,
      enums: String,
      includeDirs: [join(packageRoot(), 'proto')],
    });
    this.json = new ProtoJson(this.definitions);
  }

  /** One call; rejects with a {@link ToolError} whose message is for people. */
  call<T>(service: Service, method: string, request: object, timeoutMs = 30_000): Promise<T> {
    const client = this.client(service);
    const deadline = Date.now() + timeoutMs;
    return new Promise((resolve, reject) => {
      (client as unknown as Methods)[method]?.(
        request,
        { deadline },
        (error: grpc.ServiceError | null, reply: T) => {
          if (error === null) resolve(reply);
          else reject(this.toToolError(error, request));
        },
      );
    });
  }

  /** A stream of replies to one request. */
  serverStream(
    service: Service,
    method: string,
    request: object,
  ): grpc.ClientReadableStream<object> {
    const client = this.client(service) as unknown as Methods;
    return client[method]?.(request) as grpc.ClientReadableStream<object>;
  }

  /** A stream in both directions. */
  duplex(service: Service, method: string): grpc.ClientDuplexStream<object, object> {
    const client = this.client(service) as unknown as Methods;
    return client[method]?.() as grpc.ClientDuplexStream<object, object>;
  }

  /** Bytes of a message of sluice.v1, and back. */
  encode(typeName: string, message: object): Uint8Array {
    return this.messageType<object>(typeName).serialize(message);
  }
  decode<T extends object>(typeName: string, bytes: Uint8Array): T {
    return this.messageType<T>(typeName).deserialize(Buffer.from(bytes));
  }

  private messageType<T extends object>(typeName: string): MessageTypeDefinition<object, T> {
    return this.definitions[`sluice.v1.${typeName}`] as MessageTypeDefinition<object, T>;
  }

  close(): void {
    for (const client of this.services.values()) client.close();
    this.services.clear();
  }

  /** What a failed call means, in one sentence, with one line for each field at fault. */
  toToolError(error: grpc.ServiceError, request: object = {}): ToolError {
    if (error.code === grpc.status.UNAVAILABLE) {
      return new NodeUnavailable(
        `no answer from the API at ${this.address} (${unavailableCause(error.details)}); ` +
          'start the UPF with "sluice serve", or name another address with --api',
      );
    }
    if (error.code === grpc.status.DEADLINE_EXCEEDED) {
      return new NodeUnavailable(`the API at ${this.address} did not answer in time`);
    }
    if (error.code === grpc.status.NOT_FOUND) {
      const { name, seid } = request as { name?: string; seid?: string };
      const which = name === undefined ? `SEID ${seid}` : `"${name}"`;
      if ((name ?? seid) !== undefined) return new ToolError(`there is no session ${which}`);
    }
    const violations = fieldViolations(error.metadata);
    if (violations.length > 0) {
      return new ToolError(violations.map((v) => `${v.field}: ${v.description}`).join('\n'));
    }
    const code = (grpc.status[error.code] ?? 'UNKNOWN').toLowerCase().replaceAll('_', ' ');
    return new ToolError(`${code}: ${error.details}`);
  }

  private client(service: Service): grpc.Client {
    const known = this.services.get(service);
    if (known !== undefined) return known;
    const definition = this.definitions[`sluice.v1.${service}`] as grpc.ServiceDefinition;
    const Constructor = grpc.makeClientConstructor(definition, service);
    const client = new Constructor(this.address, this.credentials, {
      // A server that is not there is an answer for a person at once, not after a back-off.
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_receive_message_length': 64 << 20,
    });
    this.services.set(service, client);
    return client;
  }
}

function isApiAddress(text: string): boolean {
  if (text.startsWith('unix:')) return text.length > 'unix:'.length;
  const port = Number(/[^:]:(\d{1,5})$/.exec(text)?.[1] ?? 0);
  return port >= 1 && port <= 65_535;
}

function unavailableCause(details: string): string {
  if (details.includes('ECONNREFUSED')) return 'connection refused';
  if (details.includes('ENOENT')) return 'no such socket';
  if (details.includes('Name resolution failed')) return 'the name does not resolve';
  return details.replace(/^No connection established\.\s*/, '').slice(0, 120);
}

function isCertificate(pem: Buffer): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function credentialsOf(options: ApiOptions): grpc.ChannelCredentials {
  const { tlsCa, tlsCert, tlsKey } = options;
  if (tlsCa === undefined && tlsCert === undefined && tlsKey === undefined) {
    return grpc.credentials.createInsecure();
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw usageError('--tls-cert and --tls-key go together');
  }
  const read = (file: string | undefined): Buffer | null => {
    if (file === undefined) return null;
    try {
      return readFileSync(file);
    } catch (error) {
      throw unusable(file, error);
    }
  };
  const [ca, key, cert] = [read(tlsCa), read(tlsKey), read(tlsCert)];
  for (const [file, pem] of [[tlsCa, ca] as const, [tlsCert, cert] as const]) {
    if (pem !== null && !isCertificate(pem)) throw new ToolError(`${file}: no certificate in PEM`);
  }
  return grpc.credentials.createSsl(ca, key, cert);
}
