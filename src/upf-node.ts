/**
 * The composition root: the only file that knows which implementation serves which
 * interface, and in what order they start and stop. Threads: the control thread.
 * {@link UpfNode} is the node without a process; main.ts gives it one.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { addCollectors } from './api/http/collectors.js';
import { HttpServer } from './api/http/http-server.js';
import { packageFolder } from './api/proto-files.js';
import { ApiServer } from './api/server.js';
import type { Config, PortConfig } from './base/config/config.js';
import { isLoopback, type ListenAddress, listenOf, listenText } from './base/config/listen.js';
import { ownAddresses } from './base/config/own-addresses.js';
import { PACKETS_PER_WORKER } from './base/limits.js';
import type { Log } from './base/log.js';
import { Metrics } from './base/metrics.js';
import { passedTier, type SelfTestReport } from './crypto/self-test.js';
import { Balancer } from './datapath/balance/balancer.js';
import type { Datapath, DatapathConfig, GtpuConfig } from './datapath/datapath.js';
import type { LaneBounds } from './datapath/lanes/lane-load.js';
import { laneBounds } from './datapath/lanes/lane-mode.js';
import { LanePool } from './datapath/lanes/lane-pool.js';
import { PathWatch } from './datapath/path-watch.js';
import { N4 } from './n4/open-n4.js';
import { espObstacle, espPorts } from './protection/esp-obstacle.js';
import { NodeKeyFile } from './protection/node-key.js';
import { countProtections } from './protection/protection-metrics.js';
import { Protections } from './protection/protections.js';
import { createEngine, type SessionEngine } from './session/engine.js';
import { loadIdentity, loadRegionName, type StoreIdentity } from './session/identity.js';
import { EmbeddedStore } from './store/embedded.js';
import type { Store } from './store/store.js';

/** How long calls under way may take when the node shuts down. */
const DRAIN_MS = 10_000;
const PROGRESS_LOG_MS = 1_000;
/** In the data folder: usage of sessions between two runs. */
const USAGE_FILE = 'usage.snapshot';
/** Likewise: what keys are wrapped with, where no other place is configured. */
const NODE_KEY_FILE = 'node.key';

/** What a test replaces. */
export interface NodeParts {
  readonly log: Log;
  readonly selfTest: () => SelfTestReport;
  /** Processors that the packet path is compiled for. */
  readonly pathTier: () => string;
  readonly createDatapath: (config: DatapathConfig) => Datapath;
  /** Why TUN devices can't be used, undefined: they can. */
  readonly tunObstacle: () => string | undefined;
}

interface Opened {
  readonly engine: SessionEngine;
  readonly datapath: Datapath;
  readonly identity: StoreIdentity;
  readonly protections: Protections;
}

type Phase = 'starting' | 'restoring' | 'ready' | 'draining';

export class UpfNode {
  readonly #startTimeMs = Date.now();
  readonly #metrics = new Metrics();
  readonly #version = productVersion();
  readonly #warnings: string[] = [];
  readonly #log: Log;
  readonly #laneBounds: LaneBounds | undefined;
  #phase: Phase = 'starting';
  #progress = '';
  #cryptoTier = '';
  #store: Store | undefined;
  #datapath: Datapath | undefined;
  #lanes: LanePool | undefined;
  #engine: SessionEngine | undefined;
  #protections: Protections | undefined;
  #http: HttpServer | undefined;
  #api: ApiServer | undefined;
  #pathWatch: PathWatch | undefined;
  #balancer: Balancer | undefined;
  #n4: N4 | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(
    private readonly config: Config,
    private readonly parts: NodeParts,
  ) {
    this.#log = parts.log;
    this.#laneBounds = laneBounds(config.crypto, config.workers.count, availableParallelism());
  }

  /** Resolves when the node serves. If a part fails, what was started is stopped again. */
  static async start(config: Config, parts: NodeParts): Promise<UpfNode> {
    const node = new UpfNode(config, parts);
    try {
      await node.#start();
      return node;
    } catch (error) {
      await node.stop();
      throw error;
    }
  }

  get apiAddress(): ListenAddress | undefined {
    return this.#api?.address;
  }
  get httpAddress(): ListenAddress | undefined {
    return this.#http?.address;
  }
  get n4Addresses(): readonly ListenAddress[] {
    const addresses = this.#n4?.addresses ?? [];
    return addresses.map(({ host, port }) => ({ kind: 'tcp', host, port }));
  }

  /** The line that tells people and scripts that everything is open. */
  readyLine(): string {
    const status = this.#datapath?.status();
    const ports = status?.ports.map((port) => `${port.name}:${port.driver}`) ?? [];
    const parts = {
      api: this.apiAddress && listenText(this.apiAddress),
      http: this.httpAddress && listenText(this.httpAddress),
      n4: this.n4Addresses.map(listenText).join(','),
      ports: ports.join(','),
      workers: status?.workers.length,
      sessions: this.#engine?.count,
    };
    const texts = Object.entries(parts).map(([name, value]) => `${name}=${value ?? ''}`);
    return `ready ${texts.join(' ')}`;
  }

  /** Drains and closes everything that is open, in the order that loses nothing. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #start(): Promise<void> {
    const { config } = this;
    // Nothing is opened by a node whose algorithms give wrong answers.
    this.#cryptoTier = passedTier(this.parts.selfTest());
    this.#collect();
    this.#store = this.#measured(EmbeddedStore.open(config.store));
    if (this.#store.lost !== '') this.#warn(`earlier sessions were given up: ${this.#store.lost}`);
    this.#http = await HttpServer.start({
      listen: listenOf(config.http.listen),
      metrics: this.#metrics,
      log: this.#log,
      notReady: () => this.#notReady(),
    });
    const opened = await this.#openEngine(this.#store);
    const { engine, datapath } = opened;
    // Rules of sessions refer to them.
    await opened.protections.restore();
    await this.#restore(engine);
    this.#startLanes(datapath);
    datapath.start();
    opened.protections.start();
    this.#protections = opened.protections;
    const { plan, warnings } = datapath.status();
    if (plan !== '') this.#log.info(plan);
    for (const warning of warnings) this.#log.warn(warning);
    this.#pathWatch = new PathWatch(datapath, this.#log);
    this.#startBalancer(opened);
    this.#n4 = await this.#openN4(opened, this.#pathWatch);
    this.#api = await this.#openApi(opened);
    this.#phase = 'ready';
    this.#log.info({ version: this.#version, sessions: engine.count }, 'the node serves');
  }

  async #openEngine(store: Store): Promise<Opened> {
    const { config } = this;
    const sessionsMax = config.limits.sessions;
    const log = this.#log;
    const identity = await loadIdentity(store, sessionsMax);
    const ports = this.#usablePorts();
    const datapath = this.parts.createDatapath({
      sessionsMax,
      packetsMax: PACKETS_PER_WORKER * config.workers.count,
      hold: { packetsMax: config.limits.heldPackets, ms: config.limits.heldSeconds * 1000 },
      gtpu: gtpuOf(config),
      hugepages: config.workers.hugepages,
      workers: config.workers,
      lanes: this.#laneBounds?.threadsMax ?? 0,
      ports,
      survival: {
        name: await loadRegionName(store),
        snapshot: path.join(config.store.path, USAGE_FILE),
      },
      policy: config.policy,
      reassembly: config.limits.reassembly,
      ownAddresses: ownAddresses(config),
      ...identity,
    });
    this.#datapath = datapath;
    const engine = createEngine({ datapath, store, identity, ports, sessionsMax, log });
    this.#engine = engine;
    return { engine, datapath, identity, protections: this.#openProtections(store, datapath) };
  }

  #openProtections(store: Store, path_: Datapath): Protections {
    const { crypto, store: folder, workers } = this.config;
    const file = crypto.nodeKey === '' ? path.join(folder.path, NODE_KEY_FILE) : crypto.nodeKey;
    const protections = new Protections({
      path: path_,
      store,
      wrap: new NodeKeyFile(file),
      workers: workers.count,
      obstacle: (terms) => espObstacle(this.config.ports, terms),
      ports: (terms) => espPorts(this.config.ports, terms),
      unknownSpis: () => path_.statistics().dropped.esp_unknown_spi ?? 0,
      alarmPacketsPerSecond: crypto.alarmPacketsPerSecond,
      log: this.#log,
    });
    countProtections(protections, this.#metrics);
    return protections;
  }

  /** Their threads are on their way when the first packet comes. */
  #startLanes(path_: Datapath): void {
    const bounds = this.#laneBounds;
    if (bounds === undefined || path_.lanes() === 0) return;
    const statistics = () => path_.statistics().cryptoLanes;
    this.#lanes = LanePool.start({ path: path_, statistics, bounds, log: this.#log });
  }

  #startBalancer({ engine, datapath: path_ }: Opened): void {
    const { count, balance } = this.config.workers;
    const parts = { path: path_, traffic: engine, log: this.#log };
    if (count > 1 && balance === 'on') this.#balancer = Balancer.start(parts);
  }

  async #restore(engine: SessionEngine): Promise<void> {
    this.#phase = 'restoring';
    this.#progress = `0 of ${this.#store?.recordCount() ?? 0}`;
    let logged = Date.now();
    await engine.restore(({ restored, total }) => {
      this.#progress = `${restored} of ${total}`;
      if (Date.now() - logged < PROGRESS_LOG_MS) return;
      logged = Date.now();
      this.#log.info({ restored, total }, 'restoring sessions');
    });
  }

  /** undefined: the configuration has no address for it. */
  async #openN4({ engine }: Opened, paths: PathWatch): Promise<N4 | undefined> {
    const { n4, ports, limits } = this.config;
    const store = this.#store;
    if (n4.listen.length === 0 || store === undefined) return undefined;
    const opened = await N4.open({
      config: n4,
      engine,
      store,
      ports,
      rulesPerSession: limits.rulesPerSession,
      sessionsMax: limits.sessions,
      metrics: this.#metrics,
      log: this.#log,
    });
    paths.listen(({ address, state, before }) => {
      const isUp = state === 'up';
      if (!isUp || before === 'down') opened.pathChanged({ address, isUp });
    });
    return opened;
  }

  #openApi({ engine, datapath, identity, protections }: Opened): Promise<ApiServer> {
    const { config } = this;
    const listen = listenOf(config.api.listen);
    if (config.api.tls === undefined && listen.kind === 'tcp' && !isLoopback(listen.host)) {
      this.#warn(
        `api.listen ${config.api.listen} serves plain text to the network; set api.tls, or listen on a loopback address or a unix socket`,
      );
    }
    return ApiServer.start({
      listen,
      tls: config.api.tls,
      // As the packet path fills its table of buckets at start.
      workerOf: (index) => datapath.bucketOwners[Math.floor(index / identity.slotsPerBucket)]!,
      ports: config.ports,
      rulesPerSession: config.limits.rulesPerSession,
      engine,
      protections,
      workers: config.workers.count,
      n4: this.#n4,
      metrics: this.#metrics,
      log: this.#log,
      node: {
        id: config.node.id,
        version: this.#version,
        cryptoTier: this.#cryptoTier,
        pathTier: this.parts.pathTier(),
        startTimeMs: this.#startTimeMs,
        warnings: () => this.#warnings,
        sessions: () => engine.count,
        status: () => datapath.status(),
        statistics: () => datapath.statistics(),
        watchTraffic: () => engine.watchTraffic(),
        sight: datapath,
      },
    });
  }

  /** The ports as configured, but N6 in memory where TUN devices can't be made. */
  #usablePorts(): PortConfig[] {
    const { ports } = this.config;
    if (!ports.some((port) => port.driver === 'tun')) return ports;
    const obstacle = this.parts.tunObstacle();
    if (obstacle === undefined) return ports;
    return ports.map((port) => {
      if (port.driver !== 'tun') return port;
      this.#warn(`port ${port.name} is a memory port and carries no traffic: ${obstacle}`);
      return { ...port, driver: 'memory' };
    });
  }

  #collect(): void {
    addCollectors(this.#metrics, {
      statistics: () => this.#datapath?.statistics(),
      status: () => this.#datapath?.status(),
      engine: () => this.#engine?.statistics(),
      ready: () => this.#phase === 'ready',
      version: this.#version,
      node: this.config.node.id,
    });
  }

  #measured(store: Store): Store {
    const latency = this.#metrics.latency(
      'sluice_store_commit_duration_seconds',
      'Time until the store has a group of sessions',
    );
    const commit = store.commit.bind(store);
    store.commit = () => {
      const done = latency.startTimer();
      return commit().finally(() => done());
    };
    return store;
  }

  #warn(message: string): void {
    this.#warnings.push(message);
    this.#log.warn(message);
  }

  #notReady(): string | undefined {
    if (this.#phase === 'ready') return undefined;
    if (this.#phase === 'restoring') return `restoring sessions: ${this.#progress}`;
    return this.#phase === 'draining' ? 'shutting down' : 'starting';
  }

  async #stop(): Promise<void> {
    this.#phase = 'draining';
    for (const watch of [this.#pathWatch, this.#balancer]) watch?.stop();
    const steps: [string, () => Promise<void> | void | undefined][] = [
      ['gRPC server', () => this.#api?.stop(DRAIN_MS)],
      ['N4 requests', () => this.#n4?.drain()],
      ['session engine', () => this.#engine?.shutdown()],
      ['N4', () => this.#n4?.close()],
      ['packet path', () => this.#datapath?.stop()],
      ['crypto lanes', () => this.#lanes?.stop()],
      ['protections', () => this.#protections?.close()],
      ['store', () => this.#store?.close()],
      ['HTTP server', () => this.#http?.stop()],
    ];
    const failures: string[] = [];
    for (const [what, close] of steps) {
      try {
        await close();
      } catch (error) {
        failures.push(`${what}: ${(error as Error).message}`);
        this.#log.error({ err: error }, `the ${what} did not close cleanly`);
      }
    }
    if (failures.length === 0) return;
    throw new Error(`the shutdown was not clean: ${failures.join('; ')}`);
  }
}

function gtpuOf({ gtpu }: Config): GtpuConfig {
  return {
    echoIntervalMs: gtpu.echoIntervalSeconds * 1000,
    echoTimeoutMs: gtpu.echoTimeoutSeconds * 1000,
    echoTries: gtpu.echoTries,
    answersPerSecond: gtpu.errorIndicationsPerSecond,
    answersQuietMs: gtpu.errorIndicationsQuietSeconds * 1000,
  };
}

function productVersion(): string {
  const file = path.join(packageFolder(), 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
