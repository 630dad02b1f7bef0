/** For tests: the API on an engine in memory, and a client that knows only the proto file. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { fromJSON, loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { afterEach } from 'vitest';
import { type ListenAddress, listenText } from '../base/config/listen.js';
import { silentLog } from '../base/log.js';
import { Metrics } from '../base/metrics.js';
import { NodeKeyFile } from '../protection/node-key.js';
import { Protections } from '../protection/protections.js';
import { type Bench, startEngine } from '../session/engine.fixture.js';
import { PROTO_FILE, PROTO_FOLDER } from './proto-files.js';
import { ApiServer, type ApiServerOptions } from './server.js';

export type Message = Record<string, unknown>;
type Duplex = grpc.ClientDuplexStream<Message, Message>;

export const definitions = loadSync(PROTO_FILE, {
  includeDirs: [PROTO_FOLDER],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: false,
});

export interface Api extends Bench {
  readonly server: ApiServer;
  readonly protections: Protections;
  readonly metrics: Metrics;
  readonly address: string;
  readonly folder: string;
  stop(): Promise<void>;
}

export async function startApi(options: Partial<ApiServerOptions> = {}): Promise<Api> {
  const bench = await startEngine();
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-api-'));
  const listen: ListenAddress = { kind: 'unix', path: path.join(folder, 'api.sock') };
  const metrics = new Metrics();
  const { engine, datapath } = bench;
  const protections = new Protections({
    path: datapath,
    store: bench.store,
    wrap: new NodeKeyFile(path.join(folder, 'node.key')),
    workers: 1,
    obstacle: () => undefined,
    ports: () => 1,
    unknownSpis: () => 0,
    alarmPacketsPerSecond: 100,
    log: silentLog(),
  });
  const server = await ApiServer.start({
    listen,
    engine,
    metrics,
    log: silentLog(),
    rulesPerSession: 64,
    workers: 1,
    protections,
    workerOf: () => 3,
    ports: [],
    node: {
      id: 'upf-test',
      version: '1.2.3',
      cryptoTier: 'portable',
      pathTier: 'avx2',
      startTimeMs: 1_700_000_000_500,
      warnings: () => ['a warning'],
      sessions: () => engine.count,
      status: () => datapath.status(),
      statistics: () => datapath.statistics(),
      watchTraffic: () => engine.watchTraffic(),
      sight: datapath,
    },
    ...options,
  });
  const stop = async (): Promise<void> => {
    await server.stop(1000);
    rmSync(folder, { recursive: true });
  };
  return {
    ...bench,
    server,
    protections,
    metrics,
    folder,
    address: listenText(server.address),
    stop,
  };
}

/** For a file of tests: what a test starts and opens is closed behind it. */
export function apiForEachTest() {
  let api: Api | undefined;
  const open: { close(): void }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    await api?.stop();
    api = undefined;
  });
  return {
    start: async (options: Partial<ApiServerOptions> = {}): Promise<Api> => {
      api = await startApi(options);
      return api;
    },
    connect: (address: string, credentials?: grpc.ChannelCredentials): GenericClient => {
      const client = new GenericClient(address, credentials);
      open.push(client);
      return client;
    },
    closeLater: (one: { close(): void }) => open.push(one),
  };
}

/** Unary calls as promises, streams as they are. */
export class GenericClient {
  readonly #client: grpc.Client;

  constructor(address: string, credentials = grpc.credentials.createInsecure(), options = {}) {
    this.#client = new grpc.Client(address, credentials, options);
  }

  call(method: string, request: Message = {}, deadlineMs = 10_000): Promise<Message> {
    const { path: name, requestSerialize, responseDeserialize } = methodOf(method);
    const deadline = Date.now() + deadlineMs;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        name,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => Message,
        request,
        { deadline },
        (error, reply) => (error === null ? resolve(reply ?? {}) : reject(error)),
      );
    });
  }

  /** Bytes as they are, however wrong. */
  raw(method: string, bytes: Buffer): Promise<Buffer> {
    const as = (value: Buffer): Buffer => value;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(methodOf(method).path, as, as, bytes, (error, reply) =>
        error === null ? resolve(reply ?? Buffer.alloc(0)) : reject(error),
      );
    });
  }

  stream(method: string): Duplex {
    const { path: name, requestSerialize, responseDeserialize } = methodOf(method);
    return this.#client.makeBidiStreamRequest(
      name,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => Message,
    );
  }

  /** Bytes as they are, however wrong. */
  rawStream(method: string): grpc.ClientDuplexStream<Buffer, Buffer> {
    const as = (value: Buffer): Buffer => value;
    return this.#client.makeBidiStreamRequest(methodOf(method).path, as, as);
  }

  watch(method: string, request: Message): grpc.ClientReadableStream<Message> {
    const { path: name, requestSerialize, responseDeserialize } = methodOf(method);
    return this.#client.makeServerStreamRequest(
      name,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => Message,
      request,
    );
  }

  close(): void {
    this.#client.close();
  }
}

function methodOf(method: string): grpc.MethodDefinition<Message, Message> {
  const [service = '', name = ''] = method.split('/');
  const full = service.includes('.') ? service : `sluice.v1.${service}`;
  const definition = definitions[full] as unknown as grpc.ServiceDefinition;
  const found = definition[name];
  if (found === undefined) throw new Error(`the proto file has no ${method}`);
  return found as grpc.MethodDefinition<Message, Message>;
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<grpc.ServiceError> {
  try {
    await call;
  } catch (error) {
    return error as grpc.ServiceError;
  }
  throw new Error('the call succeeded');
}

/** Waits for what happens on the other side of the socket, however long that takes. */
export async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await reached())) await turn();
}

/** The next `count` messages of a stream. */
export function take(stream: NodeJS.EventEmitter, count: number): Promise<Message[]> {
  return new Promise((resolve, reject) => {
    const messages: Message[] = [];
    const receive = (message: Message): void => {
      messages.push(message);
      if (messages.length < count) return;
      stream.off('data', receive);
      resolve(messages);
    };
    stream.on('data', receive);
    stream.once('error', reject);
  });
}

/** The status with which a stream ends. */
export function ending(stream: NodeJS.EventEmitter): Promise<grpc.StatusObject> {
  return new Promise((resolve) => {
    stream.on('error', () => undefined);
    stream.on('data', () => undefined);
    stream.once('status', resolve);
  });
}

const RPC = {
  nested: {
    Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: {
      fields: {
        code: { type: 'int32', id: 1 },
        message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Any', id: 3 },
      },
    },
    Violation: {
      fields: { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } },
    },
    BadRequest: { fields: { violations: { rule: 'repeated', type: 'Violation', id: 1 } } },
  },
};
const rpc = fromJSON(RPC);

/** Field violations of grpc-status-details-bin, decoded by an independent codec. */
export function violations(error: grpc.ServiceError): Message[] {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const decode = (type: string, value: Buffer): Message =>
    (rpc[type] as MessageTypeDefinition<Message, Message>).deserialize(value);
  const status = decode('Status', bytes as Buffer);
  expectSame(status.code, error.code);
  return (status.details as Message[])
    .filter((detail) => detail.type_url === 'type.googleapis.com/google.rpc.BadRequest')
    .flatMap((detail) => decode('BadRequest', detail.value as Buffer).violations as Message[]);
}

function expectSame(a: unknown, b: unknown): void {
  if (a !== b) throw new Error(`${String(a)} in the details, ${String(b)} in the status`);
}

/** Makes a certificate authority, a server certificate for localhost, and client ones by name. */
export function makeCertificates(folder: string, clients: readonly string[]): void {
  const openssl = (...words: string[]): void => {
    execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  };
  const key = (name: string, subject: string): string[] => [
    ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-keyout', `${name}.key`, '-subj', subject],
  ];
  const sign = (name: string, subject: string, extension: string): void => {
    openssl(...key(name, subject), '-out', `${name}.csr`, '-addext', extension);
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, ...authority, '-days', '2'],
      ...['-copy_extensions', 'copy', '-out', `${name}.pem`],
    );
  };
  openssl(...key('ca', '/CN=test authority'), '-x509', '-days', '2', '-out', 'ca.pem');
  sign('server', '/CN=server', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  for (const name of clients) sign(name, `/CN=${name}`, 'extendedKeyUsage=clientAuth');
}
