/**
 * The session API under load: creations and deletions, one a call and batched on a stream,
 * by a native client on a core of its own, with full rules. Every answer is checked.
 */
import { coreSplit, runNativeBench } from './process/native-program.js';
import { grpcLoadProgram, SluiceFolder, SluiceProcess } from './process/sluice-process.js';
import type { BenchOptions, Report } from './report/report.js';

const unaryConcurrency = [1, 16, 128];
/** Operations a message, and messages in flight: enough to keep the node busy, no more. */
const streams = [
  { batch: 1, inFlight: 128 },
  { batch: 16, inFlight: 32 },
  { batch: 64, inFlight: 16 },
];
const sessionsMax = 100_000;

export default async function grpcBench(report: Report, options: BenchOptions): Promise<void> {
  const folder = new SluiceFolder(sessionsMax);
  const node = await SluiceProcess.start(folder);
  const timing = options.quick
    ? ['--seconds', '1', '--warmup', '1', '--runs', '1']
    : ['--seconds', '5', '--warmup', '2', '--runs', '3'];
  const load = async (mode: string, name: string, lanes: number, batch: number) => {
    if (!options.wanted(name)) return;
    const what = ['--target', folder.target, '--name', name];
    const how = ['--lanes', String(lanes), '--batch', String(batch)];
    const args = [mode, ...what, ...how, ...timing];
    await runNativeBench(grpcLoadProgram(), args, coreSplit().load, report);
  };
  try {
    for (const lanes of unaryConcurrency) await load('unary', `grpc/unary/c${lanes}`, lanes, 1);
    for (const { batch, inFlight } of streams) {
      await load('stream', `grpc/stream/batch${batch}`, inFlight, batch);
    }
  } finally {
    await node.stop();
    folder.remove();
  }
}
