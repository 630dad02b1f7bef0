/** Reports of the packet path against those of the model, and the laws that hold for them. */
import type { Report } from '../../src/session/engine.js';
import { reportFields } from '../report-fields.js';
import type { Inactivity, UpfModel } from './upf-model.js';
import type { UsageReport } from './usage.js';

/** Reports of one session that a difference shows. */
const SHOWN = 8;

export interface Reported {
  readonly usage: readonly UsageReport[];
  /** The others, as text that begins with the name of the session. */
  readonly others: readonly string[];
}
export interface ReportDifference {
  readonly session: string;
  readonly text: string;
}

export function reported(reports: readonly Report[]): Reported {
  const usage: UsageReport[] = [];
  const others: string[] = [];
  for (const { sessionName: session, event } of reports) {
    const fields = reportFields(event);
    if ('usage' in fields) usage.push({ session, ...fields.usage });
    else others.push(`${session} ${JSON.stringify(fields)}`);
  }
  return { usage, others };
}

/** What the model reported since the last time. */
export function takeFrom(model: UpfModel): Reported {
  const usage = model.reports;
  model.reports = [];
  const notices = model.takeNotices().map(({ session, pdr, qfi }) => {
    return `${session} ${JSON.stringify({ downlink_data: { pdr, qfi } })}`;
  });
  const inactivities = model.inactivities.map(({ session, urr }: Inactivity) => {
    return `${session} ${JSON.stringify({ inactivity: { urr } })}`;
  });
  model.inactivities = [];
  const lost = model.takeLost().map(({ session, teid, peer }) => {
    return `${session} ${JSON.stringify({ error_indication: { teid, peer } })}`;
  });
  return { usage, others: [...notices, ...inactivities, ...lost] };
}

/** Each URR's reports in their order; the others in any. */
export function reportDifference(
  found: Reported,
  expected: Reported,
): ReportDifference | undefined {
  const a = textsOf(found);
  const b = textsOf(expected);
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] === b[i]) continue;
    const session = (b[i] ?? a[i])!.split(' ')[0]!;
    const ofSession = (list: readonly string[]) => {
      return list.slice(Math.max(0, i - 2)).filter((text) => text.startsWith(`${session} `));
    };
    const show = (list: readonly string[]) => ofSession(list).slice(0, SHOWN).join('\n    ');
    return { session, text: `  model:\n    ${show(b)}\n  packet path:\n    ${show(a)}` };
  }
  return undefined;
}

function textsOf({ usage, others }: Reported): string[] {
  const keyed = usage.map((report) => {
    const { session, urr, sequence, end_ns } = report;
    // An ended URR and its successor of the same ID may have the same number.
    const place = String(sequence).padStart(9, '0');
    return { key: `${session} ${urr} ${end_ns} ${place}`, text: reportText(report) };
  });
  const all = [...keyed, ...others.map((text) => ({ key: `${text}`, text }))];
  return all.sort((x, y) => (x.key < y.key ? -1 : x.key > y.key ? 1 : 0)).map(({ text }) => text);
}

export function reportText(report: UsageReport): string {
  const { session, urr, sequence, triggers, part, start_ns, end_ns, duration_ns } = report;
  const { uplink_bytes, downlink_bytes, uplink_packets, downlink_packets } = report;
  const volume = `up ${uplink_bytes}/${uplink_packets} down ${downlink_bytes}/${downlink_packets}`;
  const time = `${start_ns}–${end_ns} measured ${duration_ns}`;
  return `${session} urr ${urr} #${sequence} ${[...triggers].sort()} ${part} ${volume} ${time}`;
}

/** The sum of all reports of a URR, when it ends, is what the model let pass for it. */
export class UsageLaw {
  /** By session and URR, since the URR began. */
  readonly #bytes = new Map<string, number>();
  readonly #ends = new Map<string, { readonly sequence: number; readonly ns: number }>();

  /** Says which law is broken. */
  check(report: UsageReport, model: UpfModel): string | undefined {
    const { session, urr, sequence, start_ns, end_ns } = report;
    const key = `${session} ${urr}`;
    const before = this.#ends.get(key);
    if (before !== undefined && (sequence !== before.sequence + 1 || start_ns !== before.ns)) {
      return `URR ${key}: report ${sequence} does not begin where the one before ended`;
    }
    this.#ends.set(key, { sequence, ns: end_ns });
    const sum = (this.#bytes.get(key) ?? 0) + report.uplink_bytes + report.downlink_bytes;
    this.#bytes.set(key, sum);
    if (!report.triggers.includes('termination')) return undefined;
    this.#bytes.delete(key);
    this.#ends.delete(key);
    const passed = model.takePassed(session, urr);
    return sum === passed ? undefined : `URR ${key} reported ${sum} bytes of ${passed}`;
  }
}
