/**
 * The configuration file: read, checked, completed with defaults. Every complaint names the
 * file, the line, the key and what is allowed, and all complaints come at once.
 *
 * Threads: any; reads files only while loading. Start with loadConfig(); the keys and their
 * defaults are in schema.ts, what holds between keys in checks.ts.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { checkAcross } from './checks.js';
import { ConfigError, type ConfigIssue } from './issue.js';
import { type Config, schema } from './schema.js';
import { explain } from './shape.js';
import { YamlSource } from './source.js';

export { effectiveConfig } from './effective.js';
export { ConfigError, type ConfigIssue } from './issue.js';
export { type ListenAddress, parseListen } from './listen.js';
export type { ApiConfig, Config, PortConfig } from './schema.js';

/** Values of the command line, by the same names as in the file; they win over the file. */
export type ConfigOverrides = { readonly [key: string]: unknown };

/**
 * @param file path of the YAML file, or undefined for defaults alone; relative paths in the
 *   file are relative to its folder, and to the working directory without a file.
 * @throws ConfigError with every issue found.
 */
export function loadConfig(file: string | undefined, overrides: ConfigOverrides = {}): Config {
  const text = file === undefined ? '' : read(file);
  return parseConfig(text, file ?? 'defaults', overrides);
}

/** As {@link loadConfig}, of a text that is already there; `file` names it and its folder. */
export function parseConfig(text: string, file: string, overrides: ConfigOverrides = {}): Config {
  const source = new YamlSource(file, text, overrides);
  const parsed = schema.safeParse(source.value, { reportInput: true });
  const issues: ConfigIssue[] = [];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) issues.push(...explain(issue, source));
    throw new ConfigError(sorted(issues));
  }
  const folder = path.dirname(path.resolve(file));
  const config = resolvePaths(parsed.data, folder);
  checkAcross(config, source, (keys, message) => {
    issues.push(source.issue(keys, message));
  });
  if (issues.length > 0) throw new ConfigError(sorted(issues));
  return config;
}

function sorted(issues: ConfigIssue[]): ConfigIssue[] {
  return issues.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === 'ENOENT'
        ? 'no such file'
        : code === 'EACCES'
          ? 'permission denied'
          : code === 'EISDIR'
            ? 'is a folder, not a file'
            : (error as Error).message;
    throw new ConfigError([{ file, message: `cannot be read: ${reason}` }]);
  }
}

function resolvePaths(config: Config, folder: string): Config {
  const absolute = (name: string): string => (name === '' ? '' : path.resolve(folder, name));
  const listen = (address: string): string =>
    address.startsWith('unix:') ? `unix:${absolute(address.slice('unix:'.length))}` : address;
  const { tls } = config.api;
  return {
    ...config,
    api: {
      listen: listen(config.api.listen),
      ...(tls && {
        tls: {
          cert: absolute(tls.cert),
          key: absolute(tls.key),
          ...(tls.clientCa !== undefined && { clientCa: absolute(tls.clientCa) }),
        },
      }),
    },
    http: { listen: listen(config.http.listen) },
    store: { ...config.store, path: absolute(config.store.path) },
    ports: config.ports.map((port) => ({
      ...port,
      file: absolute(port.file),
      outputFile: absolute(port.outputFile),
    })),
  };
}
