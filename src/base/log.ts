/**
 * Structured logs: one JSON object a line, readable text when a person watches. They go to
 * standard error; standard output belongs to the `ready` line.
 *
 * Threads: the control thread. Lines are written before the call returns, so that the last
 * words of a process that ends are not lost; nothing that runs per packet or session logs.
 */
import { destination, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const WAITING_BYTES = 2 ** 20;

export interface LogOptions {
  readonly level?: string;
  /** Absent: when standard error is a terminal. */
  readonly pretty?: boolean;
  /** Fields of every line. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** @param options.level absent: SLUICE_LOG_LEVEL, or info. */
export function createLog(options: LogOptions = {}): Log {
  const wanted = options.level ?? process.env.SLUICE_LOG_LEVEL ?? 'info';
  const level = LEVELS.includes(wanted) ? wanted : 'info';
  const readable = options.pretty ?? process.stderr.isTTY === true;
  const fd = process.stderr.fd;
  const settings = { level, base: { ...options.fields }, timestamp: pino.stdTimeFunctions.isoTime };
  const log = readable
    ? pino(settings, pretty({ destination: fd, sync: true, translateTime: 'HH:MM:ss.l' }))
    : pino(settings, lines(fd));
  if (level !== wanted) log.warn(`SLUICE_LOG_LEVEL is one of ${LEVELS.join(', ')}, not ${wanted}`);
  return log;
}

/** What can't be written (a full disk, a reader that is gone) waits within bounds, and ends nothing. */
function lines(fd: number): ReturnType<typeof destination> {
  return destination({ fd, sync: true, maxLength: WAITING_BYTES }).on('error', () => undefined);
}

/** A log that says nothing, for tests and tools. */
export function silentLog(): Log {
  return pino({ level: 'silent' });
}
