import { type Finding, Findings } from '../finding.js';
import type { Machine, Probe } from '../probe.js';

/** Reports carry times; a difference beyond this one is seen by those who charge. */
const OFFSET_MAX_S = 0.1;
const SET_UP = 'apt-get install -y chrony && systemctl enable --now chrony';

/** The wall clock: reports carry its time. The packet path itself uses the processor's counter. */
export function checkClock({ probe }: Machine): Finding[] {
  const findings = new Findings('clock');
  const chrony = chronyTracking(probe);
  if (chrony !== undefined) {
    offsetFinding(findings, chrony.source, chrony.offsetS, chrony.synchronised);
    return findings.all;
  }
  const answer = probe.run('timedatectl', 'show', '-p', 'NTPSynchronized', '--value')?.trim();
  const marked = probe.exists('/run/systemd/timesync/synchronized');
  if (answer === 'yes' || marked) findings.ok('the clock is synchronised');
  else if (answer === 'no') {
    findings.warning(
      'the clock is not synchronised',
      'times in usage reports drift, and a later correction shows in them as a step',
      probe.exists('/lib/systemd/systemd-timesyncd') ? 'timedatectl set-ntp true' : SET_UP,
    );
  } else {
    const ptp = probe.list('/sys/class/ptp').length > 0;
    findings.note(
      'whether the clock is synchronised is not to be seen',
      'neither chrony nor systemd answers; times in usage reports are those of this machine',
      ptp ? `${SET_UP}   # and "refclock PHC /dev/ptp0 poll 2" in /etc/chrony/chrony.conf` : SET_UP,
    );
  }
  return findings.all;
}

interface Tracking {
  readonly source: string;
  readonly offsetS: number;
  readonly synchronised: boolean;
}

/** `chronyc -c tracking`: reference, name, stratum, time, system offset, … leap status. */
function chronyTracking(probe: Probe): Tracking | undefined {
  const fields = probe.run('chronyc', '-c', 'tracking')?.trim().split(',');
  if (fields === undefined || fields.length < 5) return undefined;
  return {
    source: fields[1] ?? '',
    offsetS: Math.abs(Number(fields[4])),
    synchronised: fields.at(-1) !== 'Not synchronised',
  };
}

function offsetFinding(
  findings: Findings,
  source: string,
  offsetS: number,
  synchronised: boolean,
): void {
  if (!synchronised) {
    findings.warning(
      'chrony runs and has not synchronised the clock',
      'times in usage reports drift, and a later correction shows in them as a step',
      'chronyc sources   # says which servers answer; then: chronyc makestep',
    );
  } else if (offsetS > OFFSET_MAX_S) {
    findings.warning(
      `the clock is ${offsetS.toFixed(3)} s off its source ${source}`,
      'times in usage reports are off by as much until it is corrected',
      'chronyc makestep',
    );
  } else {
    findings.ok(`the clock follows ${source}, ${(offsetS * 1000).toFixed(3)} ms off`);
  }
}
