/**
 * Random sequences of operations and packets, played to the model and to a UPF, and compared
 * packet by packet. A step is one packet or one operation. All of it follows from the seed, but
 * for the TEIDs that the UPF draws, which no decision depends on.
 */
import { joinWords } from '../../src/base/units.js';
import { pdrCount, pdrsAt } from '../../src/model/record.js';
import * as layout from '../../src/model/record-layout.js';
import { reportFields, type UsageFields, usageFields } from '../report-fields.js';
import { eventsOf, SteppedUpf, USUAL_PORTS } from '../stepped-upf.js';
import { parseAddress } from '../wire/address.js';
import { textOf } from '../wire/text.js';
import { difference, type Judged } from './compare.js';
import type { ModelPort, Verdict } from './forward.js';
import { Random } from './random.js';
import { randomPacket, type TestPacket } from './random-packet.js';
import { changedSession, randomSession, SESSIONS, sessionName } from './random-session.js';
import type { Session } from './rules.js';
import { type Chosen, UpfModel } from './upf-model.js';
import type { UsageReport } from './usage.js';

const START_NS = 1_000_000_000_000;
const PACKETS_PER_BATCH = 512;
const BURST_MAX = 32;
/** Steps that a mismatch shows of the session that it is about. */
const HISTORY_SHOWN = 12;
const HISTORY_MAX = 4_096;
const MTU = 1_500;

export class Mismatch extends Error {
  constructor(
    readonly seed: number,
    readonly step: number,
    what: string,
    history: string,
  ) {
    super(
      `seed ${seed}, step ${step}: ${what}\n${history}` +
        `again: npm run model -- --seed ${seed} --until ${step}`,
    );
    this.name = 'Mismatch';
  }
}

export interface RunOptions {
  readonly seed: number;
  /** Steps that are played, at least. */
  readonly steps: number;
  /** Called after every batch. */
  readonly progress?: (steps: number) => void;
}
export interface RunCounts {
  steps: number;
  packets: number;
  sent: number;
  operations: number;
  reports: number;
  restarts: number;
  readonly dropped: Map<string, number>;
}

interface Event {
  readonly step: number;
  readonly session: string | undefined;
  readonly text: () => string;
}

export class ModelRun {
  readonly counts: RunCounts = {
    steps: 0,
    packets: 0,
    sent: 0,
    operations: 0,
    reports: 0,
    restarts: 0,
    dropped: new Map(),
  };
  readonly #random: Random;
  readonly #model: UpfModel;
  readonly #numbers = new Map<string, number>();
  readonly #history: Event[] = [];
  /** Bytes of reports by session and URR, since the URR began. */
  readonly #reported = new Map<string, number>();
  /** Reports that came with answers since the last restart. */
  readonly #answered = new Set<string>();
  #about: string | undefined;

  private constructor(
    private readonly options: RunOptions,
    private readonly upf: SteppedUpf,
  ) {
    this.#random = new Random(options.seed);
    const ports = USUAL_PORTS.map(
      (port): ModelPort => ({
        name: port.name,
        role: port.role,
        addresses: port.addresses ?? [],
        networkInstances: port.networkInstances ?? [],
        mtu: MTU,
      }),
    );
    this.#model = new UpfModel(ports);
  }

  /** Throws a {@link Mismatch} at the first difference. */
  static async play(options: RunOptions): Promise<RunCounts> {
    const upf = await SteppedUpf.start({ startNs: START_NS, ports: USUAL_PORTS });
    const run = new ModelRun(options, upf);
    try {
      while (run.counts.steps < options.steps) {
        for (let i = run.#random.between(1, 4); i > 0; i--) await run.#operation();
        run.#batch();
        await run.#compareReports();
        run.#checkCounters();
        options.progress?.(run.counts.steps);
      }
    } finally {
      upf.stop();
    }
    return run.counts;
  }

  async #operation(): Promise<void> {
    const random = this.#random;
    this.counts.steps++;
    this.counts.operations++;
    const number = random.below(SESSIONS);
    const name = sessionName(number);
    const live = this.#model.sessions.get(name);
    if (random.once(256)) await this.#restart(random.once(2));
    else if (live === undefined) await this.#create(number, randomSession(random, number));
    else if (random.once(4)) await this.#delete(name);
    else {
      const queried = live.session.urrs.map((urr) => urr.id).filter(() => random.once(3));
      await this.#update(number, changedSession(random, live.session, number), queried);
    }
  }

  async #create(number: number, session: Session): Promise<void> {
    this.#note(session.name, () => `create ${JSON.stringify(session)}`);
    const { record } = await this.#accepted(this.upf.create(session));
    this.#model.create(session, chosenIn(record), this.upf.nowNs);
    this.#numbers.set(session.name, number);
  }

  async #update(_number: number, session: Session, queried: readonly number[]): Promise<void> {
    this.#note(
      session.name,
      () => `update ${JSON.stringify(session)}, query ${JSON.stringify(queried)}`,
    );
    const { record, usage } = await this.#accepted(
      this.upf.update(session, { queryUrrIds: queried }),
    );
    const expected = this.#model.update(session, chosenIn(record), queried, this.upf.nowNs);
    this.#compareUsage(session.name, usage, expected);
  }

  async #delete(name: string): Promise<void> {
    this.#note(name, () => 'delete');
    const { usage } = await this.#accepted(this.upf.delete({ name }));
    this.#compareUsage(name, usage, this.#model.delete(name, this.upf.nowNs));
    this.#numbers.delete(name);
  }

  async #restart(cleanly: boolean): Promise<void> {
    this.#note(undefined, () => `restart, ${cleanly ? 'cleanly' : 'by a crash'}`);
    this.counts.restarts++;
    await this.#compareReports();
    const reports = await this.upf.restart(cleanly);
    if (cleanly) {
      const expected = [...this.#model.sessions.values()].flatMap(({ usage }) =>
        [...usage.values()].map((urr) => urr.report(['immediate'], this.upf.nowNs)),
      );
      this.#compareReportLists(
        reports.map(({ sessionName: session, event }) => ({ session, ...usageFields(event) })),
        expected,
      );
    }
    this.#model.crash(this.upf.nowNs);
    this.#reported.clear();
    // Nobody can know whether a client has read an answer: it may come again as a report.
    const again = (await this.upf.reports()).map(({ sessionName: session, event }) =>
      comparable({ session, ...usageFields(event) }),
    );
    const unknown = again.find(({ text }) => !this.#answered.has(text));
    if (unknown !== undefined) this.#fail(`a report of before the restart: ${unknown.text}`);
    this.#answered.clear();
  }

  async #accepted<T>(operation: Promise<T>): Promise<T> {
    try {
      return await operation;
    } catch (error) {
      const { code, field, message } = error as { code: string; field: string; message: string };
      return this.#fail(`the operation was refused: ${code} ${field}: ${message}`);
    }
  }

  #batch(): void {
    const random = this.#random;
    const turns: Judged[][] = [];
    // Few sessions at a time, so that their buckets and quotas come under load.
    const all = [...this.#model.sessions.keys()];
    if (all.length === 0) return;
    const names = Array.from({ length: random.between(1, 4) }, () => random.of(all));
    const firstStep = this.counts.steps + 1;
    for (let sent = 0; sent < PACKETS_PER_BATCH; ) {
      this.upf.nowNs += randomPause(random);
      const burst = random.once(8) ? random.between(2, BURST_MAX) : 1;
      const turn = this.#turn(names, burst);
      turns.push(turn);
      sent += turn.length;
    }
    const found = this.upf.packets.play();
    let step = firstStep;
    turns.forEach((judged, i) => {
      const what = difference(found[i]!, judged);
      step += judged.length;
      if (what === undefined) return;
      const packets = judged.map(({ packet }) => packetText(packet));
      this.#about = judged[0]!.verdict.by;
      this.#fail(`packets\n    ${packets.join('\n    ')}\n${what}`, step - 1);
    });
  }

  /** Packets of one port that go through the stages together. */
  #turn(names: readonly string[], count: number): Judged[] {
    const judged: Judged[] = [];
    const { nowNs } = this.upf;
    for (let i = 0; i < count; i++) {
      const packet = randomPacket(this.#random, this.#model, names, 0);
      // The others of a burst have to arrive at the same port.
      if (i > 0 && packet.packet.port !== judged[0]!.packet.packet.port) continue;
      const verdict = this.#model.packet(packet.packet, nowNs);
      judged.push({ packet, verdict });
      this.counts.steps++;
      this.counts.packets++;
      if ('dropped' in verdict) {
        const { dropped } = this.counts;
        dropped.set(verdict.dropped, (dropped.get(verdict.dropped) ?? 0) + 1);
      } else this.counts.sent++;
      this.#remember({
        step: this.counts.steps,
        session: verdict.by ?? '',
        text: () => `${nowNs} ns: ${packetText(packet)} → ${outcomeText(verdict)}`,
      });
    }
    judged.forEach(({ packet }, i) => {
      this.upf.packets.add(packet.packet.port, nowNs, packet.bytes, i < judged.length - 1);
    });
    return judged;
  }

  async #compareReports(): Promise<void> {
    const reports = await this.upf.reports();
    const found = reports.map(({ sessionName: session, event }) => {
      const fields = reportFields(event);
      if (!('usage' in fields)) return this.#fail(`an unexpected ${JSON.stringify(fields)}`);
      return { session, ...fields.usage };
    });
    const expected = this.#model.reports;
    this.#model.reports = [];
    this.#compareReportLists(found, expected);
  }

  #compareUsage(name: string, usage: Uint32Array, expected: readonly UsageReport[]): void {
    const found = eventsOf(usage).map((event) => ({ session: name, ...usageFields(event) }));
    this.#about = name;
    this.#compareReportLists(found, expected);
    for (const report of found) this.#answered.add(comparable(report).text);
  }

  /** Each URR's reports in their order. */
  #compareReportLists(
    found: readonly (UsageFields & { readonly session: string })[],
    expected: readonly UsageReport[],
  ): void {
    this.counts.reports += expected.length;
    const keyed = (list: readonly UsageReport[]) =>
      list.map(comparable).sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const a = keyed(found);
    const b = keyed(expected);
    for (let i = 0; i < Math.max(a.length, b.length); i++) {
      if (a[i]?.text === b[i]?.text) continue;
      this.#about = (b[i] ?? a[i])!.session;
      const ofSession = (list: readonly { readonly text: string }[]) =>
        list.flatMap(({ text }) => (text.startsWith(`${this.#about} `) ? text : [])).slice(0, 8);
      const text = `  model:\n    ${ofSession(b).join('\n    ')}\n  packet path:\n    ${ofSession(a).join('\n    ')}`;
      this.#fail(`a report differs\n${text}`);
    }
    for (const report of found) this.#sumUp(report);
  }

  /** The sum of all reports of a URR, when it ends, is what the model let pass for it. */
  #sumUp(report: UsageFields & { readonly session: string }): void {
    const key = `${report.session} ${report.urr}`;
    const sum = (this.#reported.get(key) ?? 0) + report.uplink_bytes + report.downlink_bytes;
    this.#reported.set(key, sum);
    if (!report.triggers.includes('termination')) return;
    const passed = this.#model.takePassed(report.session, report.urr);
    if (sum !== passed) this.#fail(`URR ${key} reported ${sum} bytes of ${passed}`);
    this.#reported.delete(key);
  }

  #checkCounters(): void {
    const lost = this.upf.unaccounted();
    if (lost !== 0) this.#fail(`rx + created is ${lost} more than tx + held + dropped`);
  }

  #note(session: string | undefined, text: () => string): void {
    this.#about = session;
    this.#remember({ step: this.counts.steps, session, text });
  }

  #remember(event: Event): void {
    this.#history.push(event);
    if (this.#history.length > 2 * HISTORY_MAX) this.#history.splice(0, HISTORY_MAX);
  }

  #fail(what: string, step = this.counts.steps): never {
    const about = this.#about;
    const events = this.#history
      .filter((event) => event.step <= step && (event.session ?? about) === about)
      .slice(-HISTORY_SHOWN)
      .map((event) => `    step ${event.step}: ${event.text()}\n`);
    const live = about === undefined ? undefined : this.#model.sessions.get(about);
    const session = live === undefined ? '' : `  ${JSON.stringify(live.session)}\n`;
    const history = `${session}  before it, of ${about ?? 'all'}:\n${events.join('')}`;
    throw new Mismatch(this.options.seed, step, what, history);
  }
}

function packetText({ packet, bytes }: TestPacket): string {
  return `port ${packet.port}: ${textOf(bytes, packet.tunnel !== undefined)}`;
}

function outcomeText(verdict: Verdict): string {
  return 'dropped' in verdict ? verdict.dropped : `port ${verdict.port}`;
}

function comparable(report: UsageReport) {
  const { session, urr, sequence, triggers, start_ns, end_ns } = report;
  const { uplink_bytes, downlink_bytes, uplink_packets, downlink_packets } = report;
  const volume = `up ${uplink_bytes}/${uplink_packets} down ${downlink_bytes}/${downlink_packets}`;
  const place = String(sequence).padStart(9, '0');
  return {
    session,
    // An ended URR and its successor of the same ID may have the same number.
    key: `${session} ${urr} ${end_ns} ${place}`,
    text: `${session} urr ${urr} #${sequence} ${[...triggers].sort()} ${volume} ${start_ns}–${end_ns}`,
  };
}

function randomPause(random: Random): number {
  const draw = random.below(100);
  if (draw < 40) return 0;
  if (draw < 70) return random.between(1, 50_000);
  // At 8 kbit/s a millisecond is a byte.
  if (draw < 80) return 1_000_000 * random.between(1, 200);
  if (draw < 97) return random.between(1, 5_000_000);
  if (draw < 99) return random.between(1, 500_000_000);
  return random.between(1, 30) * 1_000_000_000;
}

/** What the UPF chose, out of the record of its answer. */
function chosenIn(record: Uint32Array): Chosen {
  const teids = Array.from(
    { length: pdrCount(record, 0) },
    (_, i) => record[pdrsAt(0) + i * layout.PDR_WORDS + layout.PDR_TEID]!,
  );
  const ipv4 = record[layout.HEADER_UE_IPV4]!;
  const prefix = joinWords(
    record[layout.HEADER_UE_PREFIX_LOW]!,
    record[layout.HEADER_UE_PREFIX_HIGH]!,
  );
  const prefixBytes = new Uint8Array(8);
  new DataView(prefixBytes.buffer).setBigUint64(0, prefix);
  const ipv4Text = [24, 16, 8, 0].map((shift) => (ipv4 >>> shift) & 0xff).join('.');
  return {
    teids,
    ueIpv4: ipv4 === 0 ? undefined : parseAddress(ipv4Text),
    uePrefix: prefix === 0n ? undefined : prefixBytes,
  };
}
