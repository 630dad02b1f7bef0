/** The file that bin/sluice starts; everything is in program.ts. */
import { EXIT_FAILED } from '../tools/tool-error.js';
import { run } from './program.js';

// A reader that goes away (`sluice session list | head`) is no failure of ours, but of a command
// that has set another code meanwhile.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`sluice: standard output cannot be written: ${error.message}\n`);
  process.exit(EXIT_FAILED);
});
process.exitCode = await run(process.argv.slice(2));
