"""Peers: associations, heartbeats both ways, restarts, release, sets of sessions, node reports."""

import socket
import time

from scapy.contrib import pfcp as p

import ies
from cases_life import ends_down, goes_down, opened
from cases_parsing import plain
from smf import find, now_ntp

SSET = b"\x08"


def until(true, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def case_association_says_who_and_since_when(lab):
    smf = lab.smf(associate=False)
    response = smf.associate()
    node = response.find(60)
    # free5GC looks the node up by this name: it has to be the address that it asked.
    assert (node.id_type, node.ipv4) == (0, "192.0.2.1"), node
    stamp = response.find(96).timestamp
    assert 0 < stamp <= now_ntp()
    assert smf.heartbeat().find(96).timestamp == stamp
    assert smf.associate().find(96).timestamp == stamp
    smf.associated = True


def case_ipv6_peer(lab):
    smf = lab.smf(associate=False, v6=True)
    node = smf.associate().find(60)
    smf.associated = True
    assert (node.id_type, node.ipv4) == (0, "192.0.2.1"), "a node has one Node ID"
    session = smf.establish(plain(lab.ue()))
    up = session.response.find(57)
    assert up.v6 == 1 and up.ipv6 == "fd00:3::1", up


def case_fqdn_node_id(lab):
    smf = lab.smf(node="smf1.5gc.example.org")
    session = smf.establish(plain(lab.ue()))
    session.delete()


def case_heartbeats_both_ways(lab):
    smf = lab.smf()
    smf.heartbeat()
    assert until(lambda: smf.heartbeats_asked >= 2), "the UPF does not ask its peer"


def case_time_stamp_of_a_heartbeat_request_is_no_restart(lab):
    """OAI writes the time of now into each."""
    smf, gnb, host, ue, teid, _ = opened(lab)
    for later in (1, 10, 1000):
        smf.heartbeat(timestamp=now_ntp() + later)
    assert goes_down(gnb, host, ue, teid)


def case_newer_stamp_in_a_heartbeat_response_is_a_restart(lab):
    smf, gnb, host, ue, teid, session = opened(lab)
    other, there, far_teid = lab.smf(), lab.ue(), lab.teid()
    other.establish(ies.session_rules(there, gnb.address, far_teid))
    smf.started -= 100
    asked = smf.heartbeats_asked
    assert until(lambda: smf.heartbeats_asked > asked + 1)
    assert goes_down(gnb, host, ue, teid), "an older stamp is nothing"
    smf.started += 300
    assert until(lambda: ends_down(gnb, host, ue, teid)), "the sessions are still there"
    assert goes_down(gnb, host, there, far_teid), "another peer's session went too"
    assert smf.request(54, [], seid=session.up_seid).cause in (65, 72)
    smf.associate()


def case_association_with_a_newer_stamp_removes_its_sessions_only(lab):
    smf, gnb, host, ue, teid, _ = opened(lab)
    other, there, far_teid = lab.smf(), lab.ue(), lab.teid()
    other.establish(ies.session_rules(there, gnb.address, far_teid))
    smf.started += 50
    smf.associate()
    assert until(lambda: ends_down(gnb, host, ue, teid))
    assert goes_down(gnb, host, there, far_teid)


def case_association_with_the_same_stamp_keeps_them(lab):
    """Open5GS associates again when heartbeats were lost, and does not make its sessions again."""
    smf, gnb, host, ue, teid, session = opened(lab)
    smf.associate()
    assert goes_down(gnb, host, ue, teid)
    session.modify([ies.update_far(2, ies.DROP)])
    session.delete()


def case_association_retains_what_it_asks_for(lab):
    """Whatever the stamp is; then only what CP F-SEIDs of another address have."""
    smf, gnb, host, ue, teid, _ = opened(lab)
    later = smf.started + 50

    def associate(retention):
        head = [ies.node_id(smf.node), p.IE_RecoveryTimeStamp(timestamp=later)]
        return smf.request(5, [*head, ies.raw(183, retention)]).find(184)

    assert bytes(associate(b""))[4:] == b"\x01", "no PSREI"
    smf.started = later
    assert goes_down(gnb, host, ue, teid)
    other = ies.raw(185, b"\x02" + socket.inet_aton("192.0.2.99"))
    assert bytes(associate(bytes(other)))[4:] == b"\x01", "no PSREI"
    assert until(lambda: ends_down(gnb, host, ue, teid))


def case_silent_peer_comes_back(lab):
    smf, gnb, host, ue, teid, session = opened(lab)
    smf.answer_heartbeats = False
    time.sleep(4)
    assert goes_down(gnb, host, ue, teid)
    smf.answer_heartbeats = True
    smf.associate()
    session.delete()


def case_release_deletes_then_answers(lab):
    smf, gnb, host, ue, teid, _ = opened(lab)
    other, there, far_teid = lab.smf(), lab.ue(), lab.teid()
    other.establish(ies.session_rules(there, gnb.address, far_teid))
    before = lab.metric("sluice_sessions")
    response = smf.release()
    smf.associated = False
    assert response.cause == 1 and response.find(60) is not None
    assert lab.metric("sluice_sessions") == before - 1
    assert ends_down(gnb, host, ue, teid) and goes_down(gnb, host, there, far_teid)
    assert smf.request(50, [*smf.head(1), *plain(lab.ue())]).cause == 72


def fq_csid(address, *numbers):
    return p.IE_FqCSID(node_id_type=0, ipv4=address, csids=list(numbers))


def case_set_deletion(lab):
    smf = lab.smf()
    ours = [smf.establish(plain(lab.ue()), more=[fq_csid(smf.address, n)]) for n in (1, 2, 2)]
    alone = smf.establish(plain(lab.ue()))
    request = [ies.node_id(smf.node), fq_csid(smf.address, 2)]
    response = smf.request(14, request)
    assert response.cause == 1, response.cause
    causes = [smf.request(54, [], seid=one.up_seid).cause for one in (*ours, alone)]
    assert causes == [1, 65, 65, 1], causes


def case_association_update(lab):
    smf = lab.smf()
    response = smf.request(7, [ies.node_id(smf.node), ies.raw(89, b"\0")])
    assert response.cause == 1 and response.find(60) is not None
    smf.establish(plain(lab.ue()))


def case_load_control_for_those_who_ask(lab):
    """LOAD in the CP Function Features."""
    smf = lab.smf(associate=False)
    smf.associate(features=b"\x01")
    smf.associated = True
    session = smf.establish(plain(lab.ue()))
    load = session.response.find(51)
    assert load is not None, "no Load Control Information"
    assert 0 <= find(load.IE_list, 53).metric <= 100
    plainly = lab.smf()
    assert plainly.establish(plain(lab.ue())).response.find(51) is None


def case_failed_path_is_reported_to_the_node(lab):
    """A gNB that answers no Echo Request any more."""
    smf, gnb, host, ue, teid, _ = opened(lab)
    assert goes_down(gnb, host, ue, teid)
    up = lambda: lab.metric("sluice_gtpu_peer_up", peer=gnb.address)
    assert until(lambda: up() == 1, 10), "the gNB was never asked"
    gnb.answers_echo = False
    assert until(lambda: smf.node_reports, 15), "no Node Report"
    report = smf.node_reports[0]
    assert bytes(report.find(101))[4] & 1, "not a user plane path failure"
    peer = find(report.find(102).IE_list, 103)
    assert peer.ipv4 == gnb.address, peer


def case_restored_with_its_own_teids(lab):
    """RESTI: the TEID that the SMF was given before is honoured."""
    smf, gnb, host, ue, teid, session = opened(lab)
    tunnel = session.teid(1)
    session.delete()
    rules = ies.session_rules(ue, gnb.address, teid)
    rules[0] = ies.up_pdr(1, 255, 1, ies.f_teid(*tunnel), ies.ue_ip(ue))
    again = smf.establish(rules, more=[ies.raw(186, b"\x01")])
    gnb.send(tunnel[0], b"", upf=tunnel[1])
    assert goes_down(gnb, host, ue, teid)
    again.delete()


def case_load_is_told_to_those_who_read_it(lab):
    """Each value once, in a response of a session; a peer without the feature never hears of it."""
    reader, other = lab.smf(associate=False), lab.smf()
    reader.associate(features=b"\x01")
    reader.associated = True
    first = reader.request(50, [*reader.head(0x10AD), *plain(lab.ue())], tries=3)
    assert first.cause == 1, first.cause
    load = first.find(51)
    assert load is not None, "no Load Control Information"
    parts = {one.ietype for one in load.IE_list}
    assert parts == {52, 53}, parts
    again = reader.request(50, [*reader.head(0x10AE), *plain(lab.ue())], tries=3)
    assert again.find(51) is None, "the same value was told twice"
    silent = other.request(50, [*other.head(0x10AF), *plain(lab.ue())], tries=3)
    assert silent.find(51) is None and silent.find(54) is None
