/**
 * The bridge: the addon's Datapath is the interface of datapath.ts itself, member by member
 * (native/addon/datapath_object.cc). Session operations cross in shared typed arrays;
 * objects only carry configuration and status.
 */

import { loadAddon } from '../base/addon.js';
import type { Datapath, DatapathConfig } from './datapath.js';
import type { SteppedDatapath } from './packet-exchange.js';

interface Addon {
  readonly Datapath: new (config: DatapathConfig) => SteppedDatapath;
  /** Ticks a second of the counter behind all cycle figures. */
  readonly tscHz: number;
  packetMemoryBytes(config: PacketMemoryConfig): number;
}

/** What the size of packet memory depends on. */
export interface PacketMemoryConfig {
  readonly packetsMax: number;
  readonly heldPacketsMax: number;
  readonly workers: number;
  readonly slotsPerBucket: number;
}

/** A refusal of the packet path, with the configuration field that it is about ('' if none). */
export class DatapathError extends Error {
  constructor(
    message: string,
    readonly field: string,
  ) {
    super(message);
    this.name = 'DatapathError';
  }
}

function withField<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && 'field' in error && typeof error.field === 'string') {
      throw new DatapathError(error.message, error.field);
    }
    throw error;
  }
}

/** Makes the packet path; ports are opened by start(). Throws {@link DatapathError}. */
export function createNativeDatapath(config: DatapathConfig): Datapath {
  return create(config);
}

/** The same without threads, moved by its owner. Throws {@link DatapathError}. */
export function createSteppedDatapath(config: Omit<DatapathConfig, 'workers'>): SteppedDatapath {
  return create({ ...config, workers: { count: 0, cores: 'auto', poll: 'auto' } });
}

function create(config: DatapathConfig): SteppedDatapath {
  const addon = loadAddon() as Addon;
  const datapath = withField(() => new addon.Datapath(config));
  for (const name of ['start', 'endRestore'] as const) {
    const method = datapath[name].bind(datapath);
    // Methods of a native class are read-only on its prototype; an own property is not.
    Object.defineProperty(datapath, name, { value: () => withField(method) });
  }
  // The shared arrays stay the same for life; an accessor of a native class is a call each time.
  for (const name of ['operations', 'events', 'queries'] as const) {
    Object.defineProperty(datapath, name, { value: datapath[name] });
  }
  return datapath;
}

/** Frequency of the time stamp counter in Hz. */
export function tscHz(): number {
  return (loadAddon() as Addon).tscHz;
}

/** Bytes of the region that a packet path of this size takes. */
export function packetMemoryBytes(config: PacketMemoryConfig): number {
  return (loadAddon() as Addon).packetMemoryBytes(config);
}
