import { stringify } from 'yaml';
import { keyApplies } from './checks.js';
import type { Config, PortConfig } from './schema.js';

/** The configuration with every default filled in, as YAML that loads to the same again. */
export function effectiveConfig(config: Config): string {
  return stringify({ ...config, ports: config.ports.map(effectivePort) }, { lineWidth: 100 });
}

function effectivePort(port: PortConfig): Partial<PortConfig> {
  return Object.fromEntries(
    Object.entries(port).filter(
      ([key, value]) => value !== '' && keyApplies(key as keyof PortConfig, port),
    ),
  );
}
