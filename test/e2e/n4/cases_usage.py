"""Usage that is counted to the octet: thresholds, quotas, periods, queries, links, ends."""

import time

from scapy.contrib import pfcp as p

import ies
from cases_life import opened
from smf import now_ntp, usages
from traffic import udp_of_size

VOLUME = 2


def metered(lab, *urrs):
    """A session whose two PDRs have all of these URRs."""
    return opened(lab, urrs=[(n + 1, one) for n, one in enumerate(urrs)])


def upload(gnb, host, session, ue, size, count, arrive=None):
    """Sends so many packets; `arrive` is how many of them are to get through, all by default."""
    teid, _ = session.teid(1)
    for _ in range(count):
        gnb.send(teid, udp_of_size(ue, host.address, size, dport=host.port))
    arrive = count if arrive is None else arrive
    found = len(host.take(arrive, 3)) + len(host.take(count - arrive, 0.3))
    assert found == arrive, f"{found} of {count} packets got through, not {arrive}"


def reported(smf, count=None, timeout=5.0):
    """All usage reports of Session Reports so far, each once; waits for so many."""
    deadline = time.monotonic() + timeout
    while True:
        messages = {message.seq: message for message in list(smf.reports)}.values()
        found = [one for message in messages for one in usages(message)]
        if count is None or len(found) >= count or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    assert count is None or len(found) >= count, f"{len(found)} usage reports, not {count}: {found}"
    return found


def threshold(number=1, total=None, up=None, down=None, *more):
    limit = ies.volume_threshold(total, up, down)
    return ies.urr(number, VOLUME, ies.VOLTH, limit, *more)


def case_volume_threshold_is_exact(lab):
    smf, gnb, host, ue, teid, session = metered(lab, threshold(total=10_000))
    started = now_ntp()
    upload(gnb, host, session, ue, 1000, 25, 25)
    first, second = reported(smf, 2)
    assert [one.number for one in (first, second)] == [0, 1], (first, second)
    for one in (first, second):
        assert one.triggers == {"VOLTH"} and one.urr == 1, one
        assert (one.total, one.up, one.down) == (10_000, 10_000, 0), one
        assert started - 2 <= one.start <= one.end <= now_ntp() + 1, (one.start, one.end)
    host.send_size(ue, 500, 4)
    gnb.wait(teid, 4)
    last, = usages(session.delete())
    assert (last.number, last.triggers) == (2, {"TERMR"}), last
    assert (last.total, last.up, last.down) == (7000, 5000, 2000), last
    assert len(reported(smf)) == 2


def case_thresholds_per_direction(lab):
    smf, gnb, host, ue, teid, session = metered(
        lab, threshold(1, up=3000), threshold(2, down=2000))
    upload(gnb, host, session, ue, 500, 6)
    one, = reported(smf, 1)
    assert (one.urr, one.up, one.down) == (1, 3000, 0), one
    host.send_size(ue, 1000, 2)
    two = reported(smf, 2)[1]
    assert (two.urr, two.up, two.down) == (2, 3000, 2000), two
    sums = {one.urr: (one.up, one.down) for one in usages(session.delete())}
    assert sums == {1: (0, 2000), 2: (0, 0)}, sums


def case_sum_of_reports_is_what_was_sent(lab):
    smf, gnb, host, ue, teid, session = metered(lab, threshold(total=2500))
    sent = 0
    for size, count in ((60, 30), (1400, 20), (777, 40)):
        upload(gnb, host, session, ue, size, count)
        host.send_size(ue, size, count)
        sent += 2 * size * count
    gnb.wait(teid, 90)
    last = usages(session.delete())
    deadline = time.monotonic() + 5
    while True:
        found = sorted([*reported(smf), *last], key=lambda one: one.number)
        if sum(one.total for one in found) == sent or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert sum(one.total for one in found) == sent, f"{sum(o.total for o in found)} of {sent}"
    assert sum(one.up for one in found) == sum(one.down for one in found) == sent // 2
    assert [one.number for one in found] == list(range(len(found))) and len(found) > 20


def case_quota_blocks_and_resumes(lab):
    quota = ies.urr(1, VOLUME, ies.VOLQU, ies.volume_quota(total=5000))
    smf, gnb, host, ue, teid, session = metered(lab, quota)
    upload(gnb, host, session, ue, 1000, 8, 5)
    one, = reported(smf, 1)
    assert one.triggers == {"VOLQU"} and one.total == 5000, one
    host.send_size(ue, 100)
    time.sleep(0.3)
    assert gnb.of(teid) == [], "downlink past the quota"
    more = p.IE_UpdateURR(IE_list=[p.IE_URR_Id(id=1), ies.volume_quota(total=3000)])
    session.modify([more])
    upload(gnb, host, session, ue, 1000, 4, 3)
    two = reported(smf, 2)[1]
    assert (two.number, two.triggers, two.total) == (1, {"VOLQU"}, 3000), two


def case_threshold_before_quota(lab):
    """A threshold report begins the threshold anew, not the quota."""
    both = ies.urr(1, VOLUME, ies.VOLTH | ies.VOLQU,
                   ies.volume_threshold(total=2000), ies.volume_quota(total=5000))
    smf, gnb, host, ue, _, session = metered(lab, both)
    upload(gnb, host, session, ue, 1000, 9, 5)
    found = reported(smf, 3)
    assert [(one.triggers, one.total) for one in found] == [
        ({"VOLTH"}, 2000), ({"VOLTH"}, 2000), ({"VOLQU"}, 1000)], found


def case_quota_of_zero(lab):
    """A URR without a grant yet: the first packet asks for one."""
    smf, gnb, host, ue, _, session = metered(
        lab, ies.urr(1, VOLUME, ies.VOLQU, ies.volume_quota(total=0)))
    upload(gnb, host, session, ue, 1000, 2, 0)
    one = reported(smf, 1)[0]
    assert one.triggers == {"VOLQU"} and one.total == 0, one


def case_periodic(lab):
    period = ies.urr(1, VOLUME, ies.PERIO, p.IE_MeasurementPeriod(period=1))
    smf, gnb, host, ue, _, session = metered(lab, period)
    upload(gnb, host, session, ue, 1000, 3)
    first, second = reported(smf, 2, timeout=4)[:2]
    assert first.triggers == second.triggers == {"PERIO"}
    assert (first.total, second.total) == (3000, 0), (first, second)
    assert second.number == first.number + 1 and second.start == first.end
    gap = smf.reports[1].at - smf.reports[0].at
    assert 0.5 < gap < 2, f"{gap} s between reports of a period of 1 s"


def case_query(lab):
    smf, gnb, host, ue, _, session = metered(lab, threshold(1, 1_000_000), threshold(2, 1_000_000))
    upload(gnb, host, session, ue, 1000, 3)
    query = p.IE_QueryURR(IE_list=[p.IE_URR_Id(id=2)])
    one, = usages(session.modify([query]))
    assert (one.urr, one.triggers, one.total, one.number) == (2, {"IMMER"}, 3000, 0), one
    upload(gnb, host, session, ue, 500, 2)
    every = usages(session.modify([p.IE_PFCPSMReqFlags(QUARR=1)]))
    found = {one.urr: (one.triggers, one.total, one.number) for one in every}
    assert found == {1: ({"IMMER"}, 4000, 0), 2: ({"IMMER"}, 1000, 1)}, found
    assert smf.reports == []


def case_removed_urr_reports_its_end(lab):
    _, gnb, host, ue, _, session = metered(lab, threshold(1, 1_000_000), threshold(2, 1_000_000))
    upload(gnb, host, session, ue, 1000, 2)
    remove = [p.IE_RemoveURR(IE_list=[p.IE_URR_Id(id=1)])]
    remove += [p.IE_UpdatePDR(IE_list=[p.IE_PDR_Id(id=n), p.IE_URR_Id(id=2)]) for n in (1, 2)]
    one, = usages(session.modify(remove))
    assert (one.urr, one.triggers, one.total) == (1, {"TERMR"}, 2000), one
    last, = usages(session.delete())
    assert (last.urr, last.total) == (2, 2000), last


def case_linked(lab):
    """What one reports, another reports with it."""
    linked = ies.urr(2, VOLUME, ies.LIUSA, p.IE_LinkedURR_Id(id=1))
    smf, gnb, host, ue, _, session = metered(lab, threshold(total=2000), linked)
    upload(gnb, host, session, ue, 1000, 3)
    found = {one.urr: (one.triggers, one.total) for one in reported(smf, 2)}
    assert found == {1: ({"VOLTH"}, 2000), 2: ({"LIUSA"}, 2000)}, found


def case_time_threshold_and_start_stop(lab):
    timed = ies.urr(1, 1, ies.TIMTH, p.IE_TimeThreshold(threshold=1))
    begun = ies.urr(2, VOLUME, ies.START)
    smf, gnb, host, ue, _, session = metered(lab, timed, begun)
    time.sleep(1.2)
    assert smf.reports == [], "a duration without ISTM starts at the first packet"
    upload(gnb, host, session, ue, 1000, 1)
    begins = reported(smf, 1)[0]
    assert (begins.urr, begins.triggers) == (2, {"START"}), begins
    found = [one for one in reported(smf, 2, timeout=4) if one.urr == 1]
    assert found[0].triggers == {"TIMTH"} and found[0].duration == 1, found
    session.delete()


def case_updated_rules_keep_their_counts(lab):
    _, gnb, host, ue, teid, session = metered(lab, threshold(total=1_000_000))
    upload(gnb, host, session, ue, 1000, 2)
    session.modify([ies.update_far(2, None, [ies.outer(lab.teid(), gnb.address)]),
                    p.IE_UpdatePDR(IE_list=[p.IE_PDR_Id(id=1), p.IE_Precedence(precedence=7)])])
    upload(gnb, host, session, ue, 1000, 2)
    last, = usages(session.delete())
    assert last.total == 4000 and gnb.of(teid) == [], last


def case_downlink_only_of_open5gs(lab):
    """Open5GS puts its URR on the downlink PDR alone."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, gnb.address, teid)
    rules[1] = ies.down_pdr(2, 255, 2, ue, urrs=[1])
    session = smf.establish([*rules, threshold(total=104_857_600)])
    upload(gnb, host, session, ue, 1000, 3)
    host.send_size(ue, 700, 3)
    gnb.wait(teid, 3)
    last, = usages(session.delete())
    assert (last.up, last.down) == (0, 2100), last


def case_user_plane_inactivity(lab):
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    timer = [p.IE_UserPlaneInactivityTimer(timer=1), p.IE_PDNType(pdn_type=1)]
    session = smf.establish(ies.session_rules(ue, gnb.address, teid), more=timer)
    upload(gnb, host, session, ue, 100, 1)
    report, = smf.wait_reports(1, timeout=4)
    assert bytes(report.find(39))[4] == 8 and report.seid == session.cp_seid
    assert usages(report) == []


def case_unanswered_report_is_sent_again(lab):
    """The very same octets, and no count is lost meanwhile."""
    smf, gnb, host, ue, _, session = metered(lab, threshold(total=1000))
    smf.answer_report = lambda report: None
    upload(gnb, host, session, ue, 1000, 1)
    first, second = smf.wait_reports(2, timeout=6)[:2]
    assert first.data == second.data, "a retransmission differs"
    upload(gnb, host, session, ue, 1000, 2)
    smf.answer_report = lambda report: 1
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        by_number = {one.number: one.total for one in reported(smf)}
        if sum(by_number.values()) == 3000:
            break
        time.sleep(0.05)
    assert sum(by_number.values()) == 3000 and sorted(by_number) == list(range(len(by_number)))
    assert usages(session.delete())[0].total == 0


def case_report_response_65_deletes_here(lab):
    smf, gnb, host, ue, _, session = metered(lab, threshold(total=1000))
    before = lab.metric("sluice_sessions")
    smf.answer_report = lambda report: 65
    upload(gnb, host, session, ue, 1000, 1)
    smf.wait_reports(1)
    deadline = time.monotonic() + 3
    while lab.metric("sluice_sessions") == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert lab.metric("sluice_sessions") == before - 1
    assert smf.request(54, [], seid=session.up_seid).cause == 65
