// Progress lines of the set-up and the checks: what is being done, and how long it took.
// A step that finds nothing to do never begins a task, so it stays silent.

const interactive = process.stderr.isTTY === true && process.env.CI === undefined;
const progressIntervalMs = interactive ? 100 : 15_000;

/** Seconds for people: "0.4 s", "2 min 5 s". */
export function formatDuration(durationMs) {
  const seconds = durationMs / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** One line on standard error; standard output belongs to the program that is started. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Begins a task that takes noticeable time; end it with done() or failed(). */
export function begin(title) {
  const startedMs = performance.now();
  let lastProgressMs = startedMs;
  const elapsed = () => formatDuration(performance.now() - startedMs);
  const clear = interactive ? '\r\x1b[K' : '';
  process.stderr.write(`· ${title} …${interactive ? '' : '\n'}`);
  return {
    progress(detail) {
      if (performance.now() - lastProgressMs < progressIntervalMs) return;
      lastProgressMs = performance.now();
      process.stderr.write(`${clear}· ${title} … ${detail}${interactive ? '' : '\n'}`);
    },
    done(detail = '') {
      process.stderr.write(
        `${clear}✓ ${title}${detail === '' ? '' : `: ${detail}`} (${elapsed()})\n`,
      );
    },
    failed(detail = '') {
      process.stderr.write(
        `${clear}✗ ${title}${detail === '' ? '' : `: ${detail}`} (${elapsed()})\n`,
      );
    },
  };
}

/** A failure whose message is all that the person needs; anything else is a defect. */
export class StepError extends Error {}

/** Runs a script's main function; a StepError becomes its message and exit code 1. */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
