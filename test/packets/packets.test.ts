/** Runs the packet tests of this folder: each case on a UPF of its own, step by step. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { SluiceError } from '../../src/base/errors.js';
import type { Turn } from '../../src/datapath/packet-exchange.js';
import { reportFields } from '../report-fields.js';
import { eventsOf, SteppedUpf, USUAL_PORTS } from '../stepped-upf.js';
import { canonicalText, textOf } from '../wire/text.js';
import {
  bytesOf,
  listOf,
  nanosecondsOf,
  type PacketCase,
  type PacketStep,
  portAndText,
  readPacketFile,
} from './packet-file.js';

const folder = fileURLToPath(new URL('.', import.meta.url));
const START_NS = 1_000_000_000_000;

class CaseRun {
  private constructor(
    private readonly upf: SteppedUpf,
    private readonly ports: readonly { readonly name: string; readonly role: string }[],
  ) {}

  static async start(one: PacketCase): Promise<CaseRun> {
    const ports = one.ports ?? USUAL_PORTS;
    const { title: _, steps: __, ...options } = one;
    return new CaseRun(await SteppedUpf.start({ ...options, startNs: START_NS }), ports);
  }

  stop(): void {
    this.upf.stop();
  }

  async play(step: PacketStep): Promise<void> {
    if (step.in !== undefined) this.#packet(step);
    else if (step.after !== undefined) this.#pass(step);
    else if (step.restart !== undefined) {
      const reports = await this.upf.restart(step.restart === 'clean');
      this.#compareReports(reports, step.reports ?? []);
      return;
    } else if (step.reports === undefined) await this.#operate(step);
    if (step.reports !== undefined) this.#compareReports(await this.upf.reports(), step.reports);
    expect(this.upf.unaccounted(), 'rx + created = tx + held + dropped').toBe(0);
  }

  #packet(step: PacketStep): void {
    const bytes = bytesOf(step);
    const port = this.upf.port(portAndText(step.in!).port);
    for (let time = step.times ?? 1; time > 0; time--) {
      this.#compareTurn(this.#turn(port, bytes), step);
    }
  }

  #pass(step: PacketStep): void {
    this.upf.nowNs += nanosecondsOf(step.after!);
    this.#compareTurn(this.#turn(0, new Uint8Array(0)), step);
  }

  #turn(port: number, bytes: Uint8Array): Turn {
    this.upf.packets.add(port, this.upf.nowNs, bytes);
    return this.upf.packets.play()[0]!;
  }

  #compareTurn(turn: Turn, step: PacketStep): void {
    const sent = turn.sent.map(({ port, bytes }) => {
      const { name, role } = this.ports[port]!;
      return `${name} ${textOf(bytes, role === 'access')}`;
    });
    const expected = listOf(step.out).map((text) => {
      const { port, packet } = portAndText(text);
      return `${port} ${canonicalText(packet)}`;
    });
    const found = { out: sent, drop: [...turn.dropped].sort() };
    expect(found).toEqual({ out: expected, drop: [...listOf(step.drop)].sort() });
  }

  async #operate(step: PacketStep): Promise<void> {
    const result = this.#operation(step);
    if (step.refused !== undefined) {
      const error = await result.then(
        () => undefined,
        (refusal: unknown) => refusal,
      );
      expect(error, 'the operation was to be refused').toBeInstanceOf(SluiceError);
      const { code, field } = error as SluiceError;
      expect(`${code} ${field}`).toBe(step.refused);
    } else {
      const { usage } = await result;
      if (step.usage !== undefined) {
        const found = eventsOf(usage).map((event) => Object.values(reportFields(event))[0]);
        expect(found).toMatchObject([...step.usage]);
      }
    }
    this.#compareTurn(this.#turn(0, new Uint8Array(0)), step);
  }

  #operation(step: PacketStep) {
    if (step.create !== undefined) return this.upf.create(step.create);
    if (step.delete !== undefined) return this.upf.delete({ name: step.delete });
    return this.upf.update(step.update, {
      sendEndMarkers: step.send_end_markers === true,
      dropBuffered: step.drop_buffered === true,
      queryUrrIds: step.query ?? [],
    });
  }

  #compareReports(
    reports: readonly { readonly event: Uint32Array }[],
    expected: readonly object[],
  ) {
    expect(reports.map(({ event }) => reportFields(event))).toMatchObject([...expected]);
  }
}

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .sort()
  .map((name) => ({ name, ...readPacketFile(join(folder, name)) }));

describe.each(files.map((file) => [file.name, file] as const))('%s', (_, { cases }) => {
  let run: CaseRun | undefined;
  afterEach(() => {
    run?.stop();
    run = undefined;
  });

  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
    run = await CaseRun.start(one);
    for (const [i, step] of one.steps.entries()) {
      try {
        await run.play(step);
      } catch (error) {
        if (error instanceof Error) {
          error.message = `step ${i + 1}, ${JSON.stringify(step)}: ${error.message}`;
        }
        throw error;
      }
    }
  });
});
