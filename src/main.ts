/**
 * The node as a process: signals, the line that says it is ready, errors in words for people.
 * Threads: the control thread. {@link serve} is what `sluice serve` calls.
 */
import { BindError } from './api/bind-address.js';
import { pathTier } from './base/addon.js';
import type { Config } from './base/config/config.js';
import { SluiceError } from './base/errors.js';
import { createLog, type Log } from './base/log.js';
import { selfTest } from './crypto/self-test.js';
import { createNativeDatapath, DatapathError } from './datapath/native.js';
import { tunObstacle } from './datapath/tun-access.js';
import { ToolError } from './tools/tool-error.js';
import { UpfNode } from './upf-node.js';

/** After a shutdown, for connections whose clients don't close them. */
const LINGER_MS = 100;

/**
 * Runs the node until SIGTERM, SIGINT or SIGHUP (its terminal is gone); resolves after a clean shutdown.
 * @throws ToolError when it can't start, with all that the person needs.
 */
export async function serve(config: Config): Promise<void> {
  const log = createLog({ fields: { node: config.node.id } });
  exitOnDefects(log);
  const stopAsked = stopSignal(log);
  let node: UpfNode;
  try {
    const createDatapath = createNativeDatapath;
    const parts = { log, selfTest, pathTier, createDatapath, tunObstacle };
    node = await UpfNode.start(config, parts);
  } catch (error) {
    throw forPeople(error);
  }
  process.stdout.write(`${node.readyLine()}\n`);
  const signal = await stopAsked;
  log.info({ signal }, 'shutting down; the same signal again ends at once');
  await node.stop().catch((error: Error) => {
    throw new ToolError(error.message);
  });
  log.info('stopped');
  setTimeout(() => process.exit(0), LINGER_MS).unref();
}

/** Resolves at the first signal; the second ends the process. */
function stopSignal(log: Log): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const receive = (signal: string): void => {
      if (asked) {
        log.fatal({ signal }, 'ended before the shutdown was done');
        process.exit(1);
      }
      asked = true;
      resolve(signal);
    };
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, receive);
  });
}

function exitOnDefects(log: Log): void {
  const exit = (error: unknown): void => {
    log.fatal({ err: error }, 'a defect: the process ends');
    process.exit(1);
  };
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
}

/** Operating errors as the sentence that they are; defects as they come. */
function forPeople(error: unknown): unknown {
  if (error instanceof BindError) return new ToolError(error.message);
  const placed = error instanceof DatapathError || error instanceof SluiceError;
  if (!placed || (error instanceof SluiceError && error.code === 'internal')) return error;
  return new ToolError(error.field === '' ? error.message : `${error.field}: ${error.message}`);
}
