"""What is left after the end of the UPF's process: one case before it, others behind it.

SMFs and gNBs are kept from case to case: they do not notice that the UPF was away.
"""

import time

from scapy.contrib import pfcp as p

import ies
from cases_life import ends_down, ends_up, goes_down, goes_up
from cases_usage import reported, threshold, upload
from lab import UPF
from smf import Smf, usages
from traffic import Gnb, Host

STRANGER = "192.0.2.250"


def case_sessions_are_made(lab):
    kept = lab.kept
    kept["smf"], kept["other"] = Smf(lab.address(), UPF), Smf(lab.address(), UPF)
    kept["gnb"] = Gnb(lab.address(), UPF)
    kept["host"] = Host(lab.dn_namespace, "198.51.100.2")
    kept["sessions"] = []
    kept["stamp"] = kept["smf"].associate().find(96).timestamp
    kept["other"].associate()
    for n in range(20):
        smf = kept["smf"] if n % 2 == 0 else kept["other"]
        ue, teid = lab.ue(), lab.teid()
        rules = ies.session_rules(ue, kept["gnb"].address, teid, urrs=[(1, threshold(total=10**6))])
        kept["sessions"].append((smf.establish(rules), ue, teid))
    check_traffic(lab)


def check_traffic(lab, works=True):
    kept = lab.kept
    up, down = (goes_up, goes_down) if works else (ends_up, ends_down)
    for session, ue, teid in kept["sessions"][:4]:
        assert down(kept["gnb"], kept["host"], ue, teid), f"downlink of {ue}"
        assert up(kept["gnb"], kept["host"], session, ue), f"uplink of {ue}"


def case_others_are_not_heard(lab):
    """`n4.allow` has the address of none but our SMFs: no answer, not even to a heartbeat."""
    before = lab.metric("sluice_n4_datagrams_not_allowed_total") or 0
    stranger = lab.smf(STRANGER, associate=False)
    heartbeat = stranger.message(1, [p.IE_RecoveryTimeStamp(timestamp=stranger.started)])
    assert stranger.exchange(*heartbeat, timeout=0.5, tries=2) is None
    deadline = time.monotonic() + 5
    counted = lambda: (lab.metric("sluice_n4_datagrams_not_allowed_total") or 0) - before
    while counted() < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counted() == 2, f"{counted()} datagrams counted, not 2"
    lab.kept["smf"].heartbeat(timeout=5)


def case_usage_is_reported_and_not_acknowledged(lab):
    """The end of the process comes between the report and its answer."""
    kept = lab.kept
    smf = kept["smf"]
    smf.answer_report = lambda report: None
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, kept["gnb"].address, teid, urrs=[(1, threshold(total=1000))])
    session = smf.establish(rules)
    upload(kept["gnb"], kept["host"], session, ue, 1000, 1)
    smf.wait_reports(1)
    upload(kept["gnb"], kept["host"], session, ue, 500, 1)
    kept["metered"] = session, ue


def case_all_is_back(lab):
    """Killed with its store: the same time stamp, sessions, TEIDs; nobody has to begin anew."""
    kept = lab.kept
    assert kept["smf"].heartbeat(timeout=5).find(96).timestamp == kept["stamp"]
    check_traffic(lab)
    session, ue, teid = kept["sessions"][0]
    session.modify([ies.update_far(2, ies.DROP)])
    assert ends_down(kept["gnb"], kept["host"], ue, teid)
    session.modify([ies.update_far(2, ies.FORW)])
    other = kept["sessions"][1][0]
    assert kept["smf"].request(54, [], seid=other.up_seid).cause == 65, "a peer got another's"
    # And it goes on asking its peers.
    asked = kept["smf"].heartbeats_asked
    deadline = time.monotonic() + 5
    while kept["smf"].heartbeats_asked == asked and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kept["smf"].heartbeats_asked > asked


def case_no_octet_is_lost(lab):
    kept = lab.kept
    smf, (session, ue) = kept["smf"], kept["metered"]
    smf.answer_report = lambda report: 1
    upload(kept["gnb"], kept["host"], session, ue, 700, 1)
    deadline = time.monotonic() + 10
    while not any(one.number == 1 for one in reported(smf)) and time.monotonic() < deadline:
        time.sleep(0.05)
    last = usages(session.delete())
    by_number = {one.number: one.total for one in reported(smf) if one.urr == 1}
    by_number.update({one.number: one.total for one in last})
    assert sum(by_number.values()) == 2200, by_number
    assert sorted(by_number) == list(range(len(by_number))), by_number


def case_store_is_lost(lab):
    """A larger time stamp; no session is left, and RESTI brings the TEIDs back."""
    kept = lab.kept
    smf, other = kept["smf"], kept["other"]
    stamp = smf.heartbeat(timeout=5).find(96).timestamp
    assert stamp > kept["stamp"], f"{stamp} after {kept['stamp']}"
    kept["stamp"] = stamp
    check_traffic(lab, works=False)
    session, ue, teid = kept["sessions"][0]
    assert smf.request(54, [], seid=session.up_seid).cause in (65, 72)
    assert smf.associate().find(96).timestamp == stamp
    other.associate()
    again = []
    for session, ue, teid in kept["sessions"]:
        rules = ies.session_rules(ue, kept["gnb"].address, teid)
        tunnel = ies.f_teid(*session.teid(1))
        rules[0] = ies.up_pdr(1, 255, 1, tunnel, ies.network("internet"), ies.ue_ip(ue))
        restore = [p.IE_PDNType(pdn_type=1), ies.raw(186, b"\x01")]
        made = session.smf.establish(rules, cp_seid=session.cp_seid, more=restore)
        made.created = session.created
        again.append((made, ue, teid))
    kept["sessions"] = again
    check_traffic(lab)


def case_time_stamp_only_grows(lab):
    """The clock was put back meanwhile, and what was not on disk is gone."""
    check_traffic(lab, works=False)
    stamp = lab.kept["smf"].heartbeat(timeout=5).find(96).timestamp
    assert stamp > lab.kept["stamp"], f"{stamp} after {lab.kept['stamp']}"
    lab.kept["stamp"] = stamp


def case_ends(lab):
    kept, lab.kept = lab.kept, {}
    for name in ("smf", "other"):
        kept[name].associate()
        assert kept[name].release().cause == 1
    for name in ("smf", "other", "gnb", "host"):
        kept[name].close()
