"""Packets that wait: downlink data reports, flush in order, drop, notification delay."""

import time

from scapy.contrib import pfcp as p

import ies
from cases_life import goes_down, opened
from smf import find
from traffic import END_MARKER

HOLD = ies.BUFF | ies.NOCP


def idle(number=2, *more):
    """A session that the gNB left: as Open5GS writes it."""
    return ies.update_far(number, HOLD, None, *more)


def awake(teid, gnb, *more, number=2):
    forward = ies.to(ies.ACCESS, ies.network("internet"), ies.outer(teid, gnb.address), *more)
    return ies.update_far(number, ies.FORW, forward)


def held(lab):
    return lab.metric("sluice_packets_held")


def wait_held(lab, count):
    deadline = time.monotonic() + 5
    while held(lab) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert held(lab) == count, f"{held(lab)} held, not {count}"


def downlink_report(message):
    """(report type octet, PDR ID, QFI, elements) of a Downlink Data Report."""
    parts = message.find(83).IE_list
    service = find(parts, 45)
    qfi = service.qfi_val if service is not None and service.QFII else None
    assert service is None or not service.PPI, "Open5GS refuses a report with PPI"
    return bytes(message.find(39))[4], find(parts, 56).id, qfi, [one.ietype for one in message.ies]


def case_thousand_packets_one_report(lab):
    smf, gnb, host, ue, teid, session = opened(lab, qers=[(1, ies.qer(1, qfi=9))])
    before = held(lab)
    session.modify([p.IE_Create_BAR(IE_list=[p.IE_BAR_Id(id=1)]), idle(2, p.IE_BAR_Id(id=1))])
    host.send_numbers(ue, 0, 1000, 0.0002)
    wait_held(lab, before + 1000)
    report, = smf.wait_reports(1)
    assert report.seid == session.cp_seid
    assert downlink_report(report) == (1, 2, 9, [39, 83]), downlink_report(report)
    assert gnb.received == []
    session.modify([awake(teid, gnb)])
    host.send_numbers(ue, 1000, 200, 0.0002)
    numbers = [one.number for one in gnb.wait(teid, 1200)]
    assert numbers == list(range(1200)), "lost or out of order"
    assert len(smf.reports) == 1 and held(lab) == before


def case_a_report_for_each_episode(lab):
    smf, gnb, host, ue, teid, session = opened(lab)
    for episode in range(1, 4):
        session.modify([idle()])
        host.send_numbers(ue, 0, 5)
        smf.wait_reports(episode)
        session.modify([awake(teid, gnb)])
        gnb.wait(teid, 5 * episode)
    time.sleep(0.2)
    assert len(smf.reports) == 3


def case_path_switch_while_packets_wait(lab):
    """The End Marker goes to the gNB that the UE left, once, as the held packets go to the new one."""
    _, old, host, ue, old_teid, session = opened(lab)
    assert goes_down(old, host, ue, old_teid)
    marks = p.IE_PFCPSMReqFlags(SNDEM=1)
    session.modify([idle(), marks])
    host.send_numbers(ue, 0, 10)
    wait_held(lab, 10)
    session.modify([awake(old_teid, old), marks])
    assert [one.number for one in old.wait(old_teid, 11)[1:]] == list(range(10))
    assert old.of(old_teid, END_MARKER) == [], "the path did not end"
    session.modify([idle()])
    host.send_numbers(ue, 10, 10)
    wait_held(lab, 10)
    new, new_teid = lab.gnb(), lab.teid()
    session.modify([awake(new_teid, new), marks])
    assert [one.number for one in new.wait(new_teid, 10)] == list(range(10, 20))
    kinds = [one.type for one in old.received if one.teid == old_teid]
    assert kinds.count(END_MARKER) == 1 and kinds[-1] == END_MARKER, kinds[-3:]
    session.modify([awake(new_teid, new), marks])
    assert goes_down(new, host, ue, new_teid)
    assert old.of(old_teid, END_MARKER)[1:] == [] == new.of(new_teid, END_MARKER)


def case_buff_without_nocp_is_silent(lab):
    smf, gnb, host, ue, teid, session = opened(lab)
    session.modify([ies.update_far(2, ies.BUFF)])
    host.send_numbers(ue, 0, 10)
    wait_held(lab, 10)
    session.modify([awake(teid, gnb)])
    gnb.wait(teid, 10)
    assert smf.reports == []


def case_drobu_drops(lab):
    smf, gnb, host, ue, teid, session = opened(lab)
    session.modify([idle()])
    host.send_numbers(ue, 0, 20)
    wait_held(lab, 20)
    session.modify([p.IE_PFCPSMReqFlags(DROBU=1), awake(teid, gnb)])
    wait_held(lab, 0)
    host.send_numbers(ue, 100, 1)
    assert [one.number for one in gnb.wait(teid, 1)] == [100]
    assert len(smf.reports) == 1


def case_drobu_in_the_report_response(lab):
    smf, gnb, host, ue, teid, session = opened(lab)
    smf.answer_report = lambda report: (1, [p.IE_PFCPSRRspFlags(DROBU=1)])
    session.modify([idle()])
    host.send_numbers(ue, 0, 1)
    smf.wait_reports(1)
    wait_held(lab, 0)
    session.modify([awake(teid, gnb)])
    assert goes_down(gnb, host, ue, teid) and len(gnb.of(teid)) == 1


def case_forw_without_a_tunnel_holds(lab):
    """free5GC before it knows the gNB: nothing leaves, and nothing is lost."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, gnb.address, teid)
    rules[3] = ies.far(2, ies.FORW, ies.to(ies.ACCESS, ies.network("internet")))
    session = smf.establish(rules)
    host.send_numbers(ue, 0, 10)
    wait_held(lab, 10)
    assert gnb.received == [] and smf.reports == []
    session.modify([awake(teid, gnb)])
    assert [one.number for one in gnb.wait(teid, 10)] == list(range(10))


def case_first_establishment_of_open5gs(lab):
    """BUFF|NOCP with a BAR and no forwarding parameters, before the gNB is known."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, gnb.address, teid)
    bar = p.IE_Create_BAR(IE_list=[p.IE_BAR_Id(id=1)])
    rules[3] = ies.far(2, HOLD, None, p.IE_BAR_Id(id=1))
    session = smf.establish([*rules, bar])
    host.send_numbers(ue, 0, 3)
    smf.wait_reports(1)
    session.modify([awake(teid, gnb)])
    assert [one.number for one in gnb.wait(teid, 3)] == [0, 1, 2]


def case_report_waits_for_the_notification_delay(lab):
    """Data that are fetched within it need no paging."""
    smf, gnb, host, ue, teid, session = opened(lab)
    delay = p.IE_DownlinkDataNotificationDelay(delay=20)  # 1 s
    bar = p.IE_Create_BAR(IE_list=[p.IE_BAR_Id(id=1), delay])
    session.modify([bar, idle(2, p.IE_BAR_Id(id=1))])
    sent = time.monotonic()
    host.send_numbers(ue, 0, 3)
    report, = smf.wait_reports(1)
    assert report.at - sent > 0.9, f"told after {report.at - sent} s"
    session.modify([awake(teid, gnb)])
    gnb.wait(teid, 3)
    session.modify([idle(2, p.IE_BAR_Id(id=1))])
    host.send_numbers(ue, 3, 1)
    session.modify([awake(teid, gnb)])
    gnb.wait(teid, 4)
    time.sleep(1.2)
    assert len(smf.reports) == 1, "told of data that were fetched already"


def case_deletion_frees_what_is_held(lab):
    _, gnb, host, ue, _, session = opened(lab)
    session.modify([idle()])
    host.send_numbers(ue, 0, 50)
    wait_held(lab, 50)
    session.delete()
    wait_held(lab, 0)
    assert gnb.received == []
