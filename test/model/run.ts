/**
 * Random sequences of operations and packets, played to the model and to a UPF, and compared
 * packet by packet. A step is one packet or one operation. All of it follows from the seed, but
 * for the TEIDs that the UPF draws, which no decision depends on.
 */
import type { Turn as PlayedTurn } from '../../src/datapath/packet-exchange.js';
import { usageFields } from '../report-fields.js';
import { type Changed as Answer, eventsOf, SteppedUpf } from '../stepped-upf.js';
import { chosenIn } from './chosen.js';
import { difference, effectText } from './compare.js';
import { count1, newCounts, type RunCounts } from './counts.js';
import { History, packetText } from './history.js';
import type { Effect } from './packet.js';
import { echoRequestIn, Paths } from './paths.js';
import { Random } from './random.js';
import { inFragments } from './random-fragments.js';
import { randomPacket, type TestPacket } from './random-packet.js';
import { changedSession, randomSession, SESSIONS, sessionName } from './random-session.js';
import { randomAnswer } from './random-signal.js';
import { INACTIVITY_NS } from './random-urr.js';
import {
  type Reported,
  reportDifference,
  reported,
  reportText,
  takeFrom,
  UsageLaw,
} from './reports.js';
import type { Session } from './rules.js';
import { type Changed, type UpdateWords, UpfModel } from './upf-model.js';
import type { UsageReport } from './usage.js';
import { missedAt, restFrom } from './walk.js';
import { START_NS, type World, worldOf } from './world.js';

const PACKETS_PER_BATCH = 160;
const BURST_MAX = 32;
/** Past a moment at which nobody can say what is over already. */
const CLEARLY_NS = 9_000_001;
/** Until every inactivity is found that there may be. */
const WALK_NS = INACTIVITY_NS * 1.25;
/** What is about no session is not shown with one. */
const NOBODY = 'nobody';
const ACCESS = 0;
const NOTHING: Reported = { usage: [], others: [] };

export interface RunOptions {
  readonly seed: number;
  /** Steps that are played, at least. */
  readonly steps: number;
  /** Called after every batch. */
  readonly progress?: (steps: number) => void;
}
interface Turn {
  readonly nowNs: number;
  readonly step: number;
  readonly packets: readonly TestPacket[];
  readonly effects: readonly Effect[];
}

export class ModelRun {
  readonly counts: RunCounts;
  readonly #random: Random;
  readonly #model: UpfModel;
  readonly #paths: Paths;
  readonly #history: History;
  #law = new UsageLaw();
  /** Reports that came with answers since the last restart. */
  readonly #answered = new Set<string>();
  #walkedNs = START_NS;
  /** Pieces of outer packets that are still to come. */
  #pieces: TestPacket[] = [];
  #serial = 0;
  #about: string | undefined;

  private constructor(
    seed: number,
    world: World,
    private readonly upf: SteppedUpf,
  ) {
    this.#random = new Random(seed);
    this.#history = new History(seed);
    this.#model = new UpfModel(world.model);
    this.#paths = new Paths(world.gtpu, world.model.ports[ACCESS]!, START_NS);
    this.counts = newCounts(this.#paths.changes);
  }

  /** Throws a Mismatch at the first difference. */
  static async play(options: RunOptions): Promise<RunCounts> {
    const world = worldOf(options.seed);
    const { ports, policy, hold, reassembly, gtpu } = world;
    const upf = await SteppedUpf.start({
      startNs: START_NS,
      ports,
      policy,
      hold,
      reassembly,
      gtpu,
      survives: true,
      packetsMax: 2_048,
    });
    const run = new ModelRun(options.seed, world, upf);
    try {
      while (run.counts.steps < options.steps) {
        for (let i = run.#random.between(1, 4); i > 0; i--) await run.#operation();
        run.#batch();
        run.#answerEchos();
        await run.#compareReports();
        if (run.#isTimeForWalk()) await run.#walk();
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
    if (random.once(48)) await this.#restart(random.once(2));
    else if (live === undefined) await this.#create(randomSession(random, number, this.upf.nowNs));
    else if (random.once(4)) await this.#delete(name);
    else {
      const queried = live.session.urrs.map((urr) => urr.id).filter(() => random.once(3));
      const words = { queried, sendEndMarkers: random.once(2), dropBuffered: random.once(8) };
      await this.#update(changedSession(random, live.session, number, this.upf.nowNs), words);
    }
    const sessions = [...this.#model.sessions.values()].map(({ session }) => session);
    this.#paths.use(sessions, this.upf.nowNs);
    await this.#compareReports();
  }

  async #create(session: Session): Promise<void> {
    this.#note(session.name, () => `create ${JSON.stringify(session)}`);
    const { record } = await this.#accepted(this.upf.create(session));
    this.#model.create(session, chosenIn(record), this.upf.nowNs);
  }

  async #update(session: Session, words: UpdateWords): Promise<void> {
    const { queried, sendEndMarkers, dropBuffered } = words;
    this.#note(session.name, () => `update ${JSON.stringify(session)}, ${JSON.stringify(words)}`);
    const answer = await this.#accepted(
      this.upf.update(session, { queryUrrIds: queried, sendEndMarkers, dropBuffered }),
    );
    const chosen = chosenIn(answer.record);
    this.#compareAnswer(
      session.name,
      answer,
      this.#model.update(session, chosen, words, this.upf.nowNs),
    );
  }

  async #delete(name: string): Promise<void> {
    this.#note(name, () => 'delete');
    const answer = await this.#accepted(this.upf.delete({ name }));
    this.#compareAnswer(name, answer, this.#model.delete(name, this.upf.nowNs));
  }

  async #restart(cleanly: boolean): Promise<void> {
    this.#note(undefined, () => `restart, ${cleanly ? 'cleanly' : 'by a crash'}`);
    this.counts.restarts++;
    const { nowNs } = this.upf;
    const found = reported(await this.upf.restart(cleanly));
    if (cleanly) {
      this.#model.reports.push(...this.#model.flush(nowNs));
      this.#compare(found, takeFrom(this.#model));
    }
    this.#model.restart(nowNs);
    this.#paths.restart(nowNs);
    // Nobody can know whether a client has read an answer: it may come again as a report.
    const again = reported(await this.upf.reports());
    const unknown = again.usage.find((report) => !this.#answered.has(reportText(report)));
    this.#about = unknown?.session;
    if (unknown !== undefined) this.#fail(`a report of before the restart: ${reportText(unknown)}`);
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
    const turns: Turn[] = [];
    // Few sessions at a time, so that their buckets and quotas come under load.
    const all = [...this.#model.sessions.keys()];
    if (all.length === 0) return;
    const names = Array.from({ length: random.between(1, 4) }, () => random.of(all));
    for (let sent = 0; sent < PACKETS_PER_BATCH; ) {
      this.#pass(randomPause(random));
      const turn = this.#turn(names, random.once(8) ? random.between(2, BURST_MAX) : 1);
      turns.push(turn);
      sent += turn.packets.length;
    }
    const found = this.#play(turns.map(({ nowNs }) => nowNs));
    turns.forEach(({ step, packets, effects }, i) => {
      const what = difference(found[i]!, effects);
      if (what === undefined) return;
      this.#about = packets.map(({ packet }) => this.#model.sessionOf(packet)).find(Boolean);
      const texts = packets.map(packetText);
      this.#fail(
        `at ${packets[0]?.packet.port}: packets\n    ${texts.join('\n    ')}\n${what}`,
        step,
      );
    });
  }

  #pass(pauseNs: number): void {
    this.upf.nowNs += pauseNs;
    while (this.#model.isUnclear(this.upf.nowNs)) this.upf.nowNs += CLEARLY_NS;
  }

  /** Packets of one port that go through the stages together. */
  #turn(names: readonly string[], count: number): Turn {
    const { nowNs } = this.upf;
    const packets: TestPacket[] = [];
    for (let i = 0; i < count; i++) {
      const packet = this.#packet(names);
      // The others of a burst have to arrive at the same port.
      if (i === 0 || packet.packet.port === packets[0]!.packet.port) packets.push(packet);
    }
    packets.forEach(({ packet, bytes }, i) => {
      this.upf.packets.add(packet.port, nowNs, bytes, i < packets.length - 1);
    });
    const effects = this.#model.turn(
      packets.map(({ packet }) => packet),
      nowNs,
    );
    packets.forEach((packet, i) => {
      this.counts.steps++;
      this.counts.packets++;
      const own = effects[i + 1]!;
      const text = () => `${nowNs} ns: ${packetText(packet)} → ${own.map(effectText).join('; ')}`;
      const about = this.#model.sessionOf(packet.packet) ?? NOBODY;
      this.#history.remember(this.counts.steps, about, text);
    });
    this.counts.held += effects.slice(1, -1).filter((own) => own.length === 0).length;
    const all = effects.flat();
    for (const effect of all) {
      if ('dropped' in effect) count1(this.counts.dropped, effect.dropped);
      else this.counts.sent++;
    }
    return { nowNs, step: this.counts.steps, packets, effects: all };
  }

  #packet(names: readonly string[]): TestPacket {
    if (this.#random.once(2)) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) return piece;
    }
    const packet = randomPacket(this.#random, this.#model, names);
    if (packet.packet.tunnel === undefined || !this.#random.once(32)) return packet;
    this.#serial = (this.#serial + 1) & 0xffff;
    this.#pieces.push(...inFragments(this.#random, packet, this.#serial));
    return this.#pieces.shift() ?? packet;
  }

  /**
   * Plays what was added, turns at these times. Echo Requests, which the UPF makes by itself, are
   * the business of the paths alone.
   */
  #play(times: readonly number[]): readonly PlayedTurn[] {
    return this.upf.packets.play().map(({ sent, dropped }, i) => {
      const echos = sent.map((one) => (one.port === ACCESS ? echoRequestIn(one) : undefined));
      const requests = echos.filter((one) => one !== undefined);
      const wrong = this.#paths.turn(requests, times[i]!);
      if (wrong !== undefined) this.#fail(wrong);
      return { sent: sent.filter((_, at) => echos[at] === undefined), dropped };
    });
  }

  /** Some peers answer, some to another request, and some strangers do. */
  #answerEchos(): void {
    const { nowNs } = this.upf;
    for (const asked of this.#random.some(this.#paths.asked(nowNs))) {
      const { packet, bytes } = randomAnswer(this.#random, asked);
      this.upf.packets.add(ACCESS, nowNs, bytes);
      const what = difference(this.#play([nowNs])[0]!, this.#model.turn([packet], nowNs).flat());
      if (what !== undefined) this.#fail(`an Echo Response\n${what}`);
      this.#paths.answer(packet.signal!, nowNs);
    }
  }

  /** Nothing comes in, and time stands still, or goes on to where it is. */
  #compareQuiet(effects: readonly Effect[]): void {
    this.upf.packets.add(0, this.upf.nowNs, new Uint8Array(0));
    const what = difference(this.#play([this.upf.nowNs])[0]!, effects);
    if (what !== undefined) this.#fail(`what left by itself differs\n${what}`);
  }

  #isTimeForWalk(): boolean {
    return this.upf.nowNs - this.#walkedNs > INACTIVITY_NS / 2 || this.#random.once(64);
  }

  /**
   * Time without packets, until every inactivity is found. When exactly, the packet path alone
   * knows; that it was in time is checked.
   */
  async #walk(): Promise<void> {
    this.#note(undefined, () => 'a time without packets');
    this.counts.walks++;
    const fromNs = this.upf.nowNs;
    if (fromNs - this.#walkedNs > INACTIVITY_NS) this.#fail('a batch took too long for this test');
    this.#pass(WALK_NS);
    this.#walkedNs = this.upf.nowNs;
    this.upf.packets.add(0, this.upf.nowNs, new Uint8Array(0));
    const turn = this.#play([this.upf.nowNs])[0]!;
    const found = reported(await this.upf.reports());
    const late = restFrom(this.#model, found.usage);
    if (late !== undefined) this.#fail(late);
    const what = difference(turn, this.#model.turn([], this.upf.nowNs).flat());
    if (what !== undefined) this.#fail(`what left by itself differs\n${what}`);
    this.#compare(found, takeFrom(this.#model));
    const missed = missedAt(this.#model, this.upf.nowNs);
    if (missed !== undefined) this.#fail(missed);
  }

  async #compareReports(): Promise<void> {
    this.#compare(reported(await this.upf.reports()), takeFrom(this.#model));
  }

  #compareAnswer(session: string, { usage }: Answer, expected: Changed): void {
    const found = eventsOf(usage).map((event) => ({ session, ...usageFields(event) }));
    this.#compare({ ...NOTHING, usage: found }, { ...NOTHING, usage: expected.usage });
    for (const report of found) this.#answered.add(reportText(report));
    this.#compareQuiet(expected.effects);
  }

  #compare(found: Reported, expected: Reported): void {
    const differs = reportDifference(found, expected);
    if (differs !== undefined) {
      this.#about = differs.session;
      this.#fail(`a report differs\n${differs.text}`);
    }
    this.counts.reports += found.usage.length + found.others.length;
    for (const report of [...found.usage].sort(bySequence)) {
      for (const trigger of report.triggers) count1(this.counts.triggers, trigger);
      const broken = this.#law.check(report, this.#model);
      if (broken !== undefined) this.#fail(broken);
    }
  }

  #checkCounters(): void {
    const lost = this.upf.unaccounted();
    if (lost !== 0) this.#fail(`rx + created is ${lost} more than tx + held + dropped`);
    const { peers } = this.upf.datapath.status();
    const path = this.#paths.difference(peers, this.upf.nowNs);
    if (path !== undefined) this.#fail(path);
    const { held } = this.upf.datapath.statistics();
    if (held !== this.#model.held) this.#fail(`${held} packets are held, not ${this.#model.held}`);
  }

  #note(session: string | undefined, text: () => string): void {
    this.#about = session;
    const { nowNs } = this.upf;
    this.#history.remember(this.counts.steps, session, () => `${nowNs} ns: ${text()}`);
  }

  #fail(what: string, step = this.counts.steps): never {
    const live = this.#about === undefined ? undefined : this.#model.sessions.get(this.#about);
    const rules = live === undefined ? '' : JSON.stringify(live.session);
    throw this.#history.mismatch(step, what, this.#about, rules);
  }
}

/** Of one URR in the order of its reports. */
function bySequence(a: UsageReport, b: UsageReport): number {
  return a.sequence - b.sequence;
}

function randomPause(random: Random): number {
  const draw = random.below(200);
  if (draw < 80) return 0;
  if (draw < 140) return random.between(1, 50_000);
  // At 8 kbit/s a millisecond is a byte.
  if (draw < 160) return 1_000_000 * random.between(1, 200);
  if (draw < 197) return random.between(1, 5_000_000);
  if (draw < 199) return random.between(1, 500_000_000);
  return random.between(1, 15) * 1_000_000_000;
}
