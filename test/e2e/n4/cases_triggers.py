"""The rarer reasons to report, and what goes to two places."""

import time

from scapy.contrib import pfcp as p

import ies
from cases_buffering import HOLD, awake
from cases_life import opened
from cases_usage import VOLUME, metered, reported, upload
from smf import now_ntp, usages

DURATION = 1


def case_time_quota_blocks(lab):
    quota = ies.urr(1, DURATION, ies.TIMQU, p.IE_TimeQuota(quota=1))
    smf, gnb, host, ue, _, session = metered(lab, quota)
    upload(gnb, host, session, ue, 100, 1, 1)
    one, = reported(smf, 1, timeout=4)
    assert one.triggers == {"TIMQU"} and one.duration == 1, (one, one.duration)
    upload(gnb, host, session, ue, 100, 1, 0)
    session.modify([p.IE_UpdateURR(IE_list=[p.IE_URR_Id(id=1), p.IE_TimeQuota(quota=60)])])
    upload(gnb, host, session, ue, 100, 1, 1)


def case_stop_of_traffic(lab):
    stop = ies.urr(1, VOLUME, ies.STOPT, p.IE_InactivityDetectionTime(time_value=1))
    smf, gnb, host, ue, _, session = metered(lab, stop)
    upload(gnb, host, session, ue, 1000, 2)
    one, = reported(smf, 1, timeout=4)
    assert one.triggers == {"STOPT"}, one
    session.delete()


def case_quota_holding_time(lab):
    """Told when the quota lay unused; it is there still, as the SMF has not taken it back."""
    held = ies.urr(1, VOLUME, ies.QUHTI | ies.VOLQU, ies.volume_quota(total=10**6),
                   ies.raw(71, (1).to_bytes(4, "big")))
    smf, gnb, host, ue, _, session = metered(lab, held)
    upload(gnb, host, session, ue, 100, 2)
    one, = reported(smf, 1, timeout=6)
    assert one.triggers == {"QUHTI"} and one.total == 200, (one, one.total)
    upload(gnb, host, session, ue, 100, 1)
    session.delete()


def case_measured_before_policing(lab):
    """MBQE: what a closed gate drops is counted; without it, it is not."""
    before = p.IE_MeasurementInformation(MBQE=1)
    plainly = ies.urr(1, VOLUME, ies.VOLTH, ies.volume_threshold(total=10**6))
    early = ies.urr(2, VOLUME, ies.VOLTH, ies.volume_threshold(total=10**6), before)
    _, gnb, host, ue, _, session = opened(
        lab, qers=[(1, ies.qer(1, ul=1))], urrs=[(1, plainly), (2, early)])
    upload(gnb, host, session, ue, 1000, 2, 0)
    found = {one.urr: one.total for one in usages(session.delete())}
    assert found == {1: 0, 2: 2000}, found


def case_several_urrs_come_in_one_report(lab):
    """One report a session is outstanding at a time."""
    limits = [ies.urr(n, VOLUME, ies.VOLTH, ies.volume_threshold(total=1000)) for n in (1, 2, 3)]
    smf, gnb, host, ue, _, session = metered(lab, *limits)
    smf.answer_report = lambda report: (time.sleep(0.3), 1)[1]
    upload(gnb, host, session, ue, 1000, 6)
    found = reported(smf, 18)
    assert sum(one.total for one in found) == 18_000
    for urr in (1, 2, 3):
        numbers = [one.number for one in found if one.urr == urr]
        assert numbers == sorted(numbers), numbers
    assert len(smf.reports) < 18, "a report of its own for every URR"


def case_duplicated_packets(lab):
    """DUPL: to a second tunnel as well."""
    _, gnb, host, ue, teid, session = opened(lab)
    copy_teid = lab.teid()
    second = p.IE_DuplicatingParameters(IE_list=[
        p.IE_DestinationInterface(interface=ies.ACCESS), ies.outer(copy_teid, gnb.address)])
    both = p.IE_UpdateFAR(IE_list=[
        p.IE_FAR_Id(id=2), ies.action(ies.FORW | 16),
        p.IE_UpdateDuplicatingParameters(IE_list=second.IE_list)])
    session.modify([both])
    host.send(ue)
    original, copy = gnb.wait(teid, 1)[0], gnb.wait(copy_teid, 1)[0]
    assert original.payload == copy.payload


def case_update_of_a_bar_in_a_report_response(lab):
    """A notification delay that comes with the answer to the first report."""
    smf, gnb, host, ue, teid, session = opened(lab)
    delay = [p.IE_BAR_Id(id=1), p.IE_DownlinkDataNotificationDelay(delay=20)]
    smf.answer_report = lambda report: (1, [p.IE_UpdateBAR_SRR(IE_list=delay)])
    bar = p.IE_Create_BAR(IE_list=[p.IE_BAR_Id(id=1)])
    hold = ies.update_far(2, HOLD, None, p.IE_BAR_Id(id=1))
    session.modify([bar, hold])
    host.send_numbers(ue, 0, 1)
    smf.wait_reports(1)
    time.sleep(0.2)
    session.modify([awake(teid, gnb)])
    gnb.wait(teid, 1)
    session.modify([hold])
    sent = time.monotonic()
    host.send_numbers(ue, 1, 1)
    took = smf.wait_reports(2)[1].at - sent
    assert took > 0.9, f"told after {took} s: the new delay has no effect"
