/**
 * The pages beside the API: /metrics for Prometheus, /healthz (the process runs) and
 * /readyz (it serves). Threads: the control thread. collectors.ts says what is in /metrics.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from '../../base/config/listen.js';
import type { Log } from '../../base/log.js';
import type { Metrics } from '../../base/metrics.js';
import { bindError, clearStaleSocket, removeSocketFile } from '../bind-address.js';

const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 16 * 1024;
const TEXT = 'text/plain; charset=utf-8';

export interface HttpServerOptions {
  readonly listen: ListenAddress;
  readonly metrics: Metrics;
  readonly log: Log;
  /** undefined: ready. Else why not, such as "restoring sessions: 120,000 of 1,000,000". */
  readonly notReady: () => string | undefined;
}

export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;

  private constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        options.log.error({ err: error, path: request.url }, 'a page failed');
        if (!response.headersSent) reply(response, 500, 'internal error; the log says more\n');
        else response.destroy();
      });
    });
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
    this.#server.headersTimeout = REQUEST_TIMEOUT_MS;
  }

  /** @throws BindError that names http.listen. */
  static async start(options: HttpServerOptions): Promise<HttpServer> {
    const { listen } = options;
    await clearStaleSocket('http.listen', listen);
    const http = new HttpServer(options);
    await new Promise<void>((resolve, reject) => {
      const refused = (error: Error): void => reject(bindError('http.listen', listen, error));
      http.#server.once('error', refused);
      const listening = (): void => {
        http.#server.off('error', refused);
        resolve();
      };
      if (listen.kind === 'unix') http.#server.listen(listen.path, listening);
      else http.#server.listen(listen.port, listen.host, listening);
    });
    return http;
  }

  /** Where it listens, with the port that port 0 became. */
  get address(): ListenAddress {
    const { listen } = this.#options;
    const bound = this.#server.address() as AddressInfo | string | null;
    if (listen.kind === 'unix' || bound === null || typeof bound === 'string') return listen;
    return { ...listen, port: bound.port };
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    removeSocketFile(this.#options.listen);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = (request.url ?? '/').split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      reply(response, 405, 'only GET and HEAD are served here\n');
    } else if (page === '/metrics') {
      const { metrics } = this.#options;
      reply(response, 200, await metrics.text(), metrics.contentType);
    } else if (page === '/healthz') {
      reply(response, 200, 'ok\n');
    } else if (page === '/readyz') {
      const reason = this.#options.notReady();
      if (reason === undefined) reply(response, 200, 'ready\n');
      else reply(response, 503, `not ready: ${reason}\n`);
    } else {
      reply(response, 404, 'the pages here are /metrics, /healthz and /readyz\n');
    }
  }
}

function reply(response: ServerResponse, code: number, text: string, type = TEXT): void {
  const body = Buffer.from(text);
  response.writeHead(code, {
    'content-type': type,
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}
