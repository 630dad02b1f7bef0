/**
 * The gRPC server: sessions (raw bytes into the engine), the node, health, reflection.
 *
 * Threads: the control thread. Start with ApiServer.start(); sessions/ has the
 * calls, call-guard.ts what all calls pass, status.ts how errors look, http/ the
 * pages beside it (/metrics, /healthz, /readyz).
 */
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { Server, ServerCredentials, type ServerOptions, setLogger } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { type ListenAddress, listenText } from '../base/config/listen.js';
import type { Log } from '../base/log.js';
import type { Metrics } from '../base/metrics.js';
import { MODEL_LIMITS } from '../model/session-decode.js';
import type { Protections } from '../protection/protections.js';
import type { AdvertisingPort } from '../session/advertised-addresses.js';
import type { SessionEngine } from '../session/engine.js';
import { BindError, bindError, clearStaleSocket, removeSocketFile } from './bind-address.js';
import { CALL_LIMITS, CallGuard, type CallLimits } from './call-guard.js';
import { certificateOwner, localOwner } from './identity.js';
import { type N4Source, n4Service } from './n4/service.js';
import { type NodeSource, nodeService } from './node-service.js';
import { objectServiceDefinition } from './object-service.js';
import { protectionService } from './protections/service.js';
import { addReflection } from './reflection/reflection.js';
import type { WorkerOf } from './sessions/answer-encode.js';
import { sessionServiceDefinition } from './sessions/definition.js';
import { sessionService } from './sessions/service.js';

const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
const KEEPALIVE_MS = 60_000;
/** For the last answers to leave the sockets. */
const FLUSH_MS = 200;
const SERVICES = ['Session', 'Node', 'N4', 'Protection'].map((name) => `sluice.v1.${name}Service`);

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Present: clients must show a certificate that this authority signed. */
  readonly clientCa?: string | undefined;
}

export interface ApiServerOptions {
  readonly listen: ListenAddress;
  readonly tls?: TlsFiles | undefined;
  readonly engine: SessionEngine;
  readonly node: NodeSource;
  /** Absent: N4 is not served. */
  readonly n4?: N4Source | undefined;
  readonly protections: Protections;
  /** How many the node has. */
  readonly workers: number;
  readonly rulesPerSession: number;
  readonly workerOf: WorkerOf;
  readonly ports: readonly AdvertisingPort[];
  readonly metrics: Metrics;
  readonly log: Log;
  readonly limits?: CallLimits;
}

export class ApiServer {
  readonly #server: Server;
  readonly #guard: CallGuard;
  readonly #health = new HealthImplementation();
  readonly #closing = new AbortController();
  readonly #listen: ListenAddress;
  #address: ListenAddress;

  private constructor(options: ApiServerOptions) {
    const { engine, node, metrics, log, tls } = options;
    this.#listen = options.listen;
    logLibrary(log);
    // Each stream listens.
    setMaxListeners(0, this.#closing.signal);
    this.#address = options.listen;
    this.#guard = new CallGuard(metrics, log, options.limits ?? CALL_LIMITS);
    this.#server = new Server(serverOptions(this.#guard));
    const ownerOf = tls?.clientCa === undefined ? localOwner : certificateOwner;
    const closing = this.#closing.signal;
    this.#server.addService(
      sessionServiceDefinition,
      sessionService({
        engine,
        limits: { ...MODEL_LIMITS, rulesPerSession: options.rulesPerSession },
        workerOf: options.workerOf,
        ports: options.ports,
        ownerOf,
        closing,
        metrics,
        log,
      }),
    );
    this.#server.addService(
      objectServiceDefinition('sluice.v1.NodeService'),
      nodeService(node, { engine, ownerOf }, closing, log),
    );
    this.#server.addService(
      objectServiceDefinition('sluice.v1.N4Service'),
      n4Service(options.n4, engine, closing, log),
    );
    this.#server.addService(
      objectServiceDefinition('sluice.v1.ProtectionService'),
      protectionService(options.protections, options.workers, closing, log),
    );
    this.#health.addToServer(this.#server);
    addReflection(this.#server);
  }

  /** @throws BindError that names the key of the configuration. */
  static async start(options: ApiServerOptions): Promise<ApiServer> {
    const credentials = credentialsOf(options.tls);
    await clearStaleSocket('api.listen', options.listen);
    const server = new ApiServer(options);
    await server.#bind(credentials);
    server.#setServing(true);
    return server;
  }

  /** Where it listens, with the port that port 0 became. */
  get address(): ListenAddress {
    return this.#address;
  }

  /**
   * Refuses new calls, ends watchers, lets calls under way finish, for `graceMs` at most.
   * Operations that a stream has sent are still answered.
   */
  async stop(graceMs: number): Promise<void> {
    this.#guard.draining = true;
    this.#setServing(false);
    this.#closing.abort();
    const closed = new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => resolve());
    });
    await within(graceMs, this.#guard.idle());
    // What is left only looks on; without it, clients that follow GOAWAY close by themselves.
    this.#guard.endLookers();
    await within(FLUSH_MS, closed);
    this.#server.forceShutdown();
    removeSocketFile(this.#listen);
  }

  #setServing(serving: boolean): void {
    for (const service of ['', ...SERVICES]) {
      this.#health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  #bind(credentials: ServerCredentials): Promise<void> {
    const listen = this.#listen;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(listenText(listen), credentials, (error, port) => {
        if (error !== null) {
          reject(bindError('api.listen', listen, error));
          return;
        }
        if (listen.kind === 'tcp') this.#address = { ...listen, port };
        resolve();
      });
    });
  }
}

/** The library's own complaints are told by us in better words, or are the client's affair. */
function logLibrary(log: Log): void {
  const debug = (...words: unknown[]): void => log.debug({ library: 'grpc-js' }, words.join(' '));
  setLogger({ error: debug, info: debug, debug });
}

function serverOptions(guard: CallGuard): ServerOptions {
  return {
    interceptors: [guard.interceptor],
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.enable_channelz': 0,
  };
}

function credentialsOf(tls: TlsFiles | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const cert = readFileSync(tls.cert);
  const key = readFileSync(tls.key);
  const ca = tls.clientCa === undefined ? null : readFileSync(tls.clientCa);
  try {
    createSecureContext({ cert, key, ...(ca !== null && { ca }) });
  } catch (error) {
    const files = [tls.cert, tls.key, tls.clientCa].filter((file) => file !== undefined);
    const reason = (error as Error).message;
    throw new BindError('api.tls', `${files.join(', ')} can't be used together: ${reason}`);
  }
  return ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], ca !== null);
}

async function within(ms: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, timeout]);
  clearTimeout(timer);
}
