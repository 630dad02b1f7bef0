"""Who may do what: sessions belong to their peer, associations come first, duplicates once."""

import time
from collections import Counter

from scapy.contrib import pfcp as p

import ies
from cases_parsing import plain
from smf import Message, Smf, now_ntp

GNB = "192.0.2.2"


def case_seid_of_another_peer(lab):
    victim, thief, gnb, host = lab.smf(), lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    session = victim.establish(ies.session_rules(ue, gnb.address, teid))
    for kind, what in ((52, [ies.update_far(2, ies.DROP)]), (54, [])):
        response = thief.request(kind, what, seid=session.up_seid)
        assert (response.cause, response.seid) == (65, 0), f"{response.cause}, {response.seid}"
    host.send(ue)
    gnb.wait(teid, 1)
    session.delete()


def case_unknown_session(lab):
    smf = lab.smf()
    for kind in (52, 54):
        response = smf.request(kind, [], seid=0x123456789ABCDEF)
        assert (response.cause, response.seid) == (65, 0), f"{response.cause}, {response.seid}"


def case_no_association(lab):
    smf = lab.smf(associate=False)
    response = smf.request(50, [*smf.head(0x5151), *plain()])
    assert response.cause == 72, response.cause
    for kind, seid in ((52, 1), (54, 1)):
        response = smf.request(kind, [], seid=seid)
        assert response.cause in (65, 72), response.cause
    assert smf.request(9, [ies.node_id(smf.node)]).cause == 72
    # Heartbeats need none.
    assert smf.heartbeat().find(96) is not None


def case_same_datagram_twice(lab):
    smf = lab.smf()
    before = lab.metric("sluice_sessions")
    data, seq = smf.message(50, [*smf.head(0x800), *plain(lab.ue())])
    first = smf.exchange(data, seq)
    assert first.cause == 1
    for _ in range(3):
        again = smf.exchange(data, seq)
        assert again.data == first.data, "another answer to a retransmission"
    assert lab.metric("sluice_sessions") == before + 1
    time.sleep(2)
    assert smf.exchange(data, seq).data == first.data


def case_same_sequence_other_body(lab):
    """free5GC uses sequence 1 again and again."""
    smf = lab.smf()
    before = lab.metric("sluice_sessions")
    seids = set()
    for n in range(4):
        session = smf.establish(plain(lab.ue()), seq=1)
        seids.add(session.up_seid)
    assert len(seids) == 4 and lab.metric("sluice_sessions") == before + 4


def case_same_sequence_of_two_peers(lab):
    one, two = lab.smf(), lab.smf()
    first = one.establish(plain(lab.ue()), seq=77, cp_seid=0x4242)
    second = two.establish(plain(lab.ue()), seq=77, cp_seid=0x4242)
    assert first.up_seid != second.up_seid
    assert first.teid(1) != second.teid(1)
    first.delete()
    second.delete()


def case_other_port_of_a_peer(lab):
    """The answer goes to the port that asked; the association is the node's."""
    smf = lab.smf()
    other = lab.open(Smf(smf.address, smf.upf, port=18805))
    other.heartbeat()
    session = other.establish(plain(lab.ue()))
    session.delete()


def case_spoofed_association(lab):
    """Who claims another's Node ID from another address does not get at its sessions."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    session = smf.establish(ies.session_rules(ue, gnb.address, teid))
    thief = lab.smf(associate=False, node=smf.node)
    again = [ies.node_id(smf.node), p.IE_RecoveryTimeStamp(timestamp=now_ntp() + 1000)]
    thief.request(5, again)
    response = thief.request(54, [], seid=session.up_seid)
    assert response.cause in (65, 72), response.cause
    host.send(ue)
    gnb.wait(teid, 1)
    session.delete()


def case_stray_responses(lab):
    smf = lab.smf()
    session = smf.establish(plain(lab.ue()))
    for kind in (2, 6, 8, 10, 13, 15, 51, 53, 55, 57):
        header = p.PFCP(S=int(kind > 50), seq=0x999, message_type=kind)
        smf.send(bytes(header / p.Raw(bytes(p.IE_Cause(cause=65)))))
    smf.heartbeat()
    assert smf.others == [], "a response was answered"
    session.delete()


def case_unknown_message_types(lab):
    smf = lab.smf()
    for kind in (0, 18, 49, 58, 99, 255):
        smf.send(bytes([0x20, kind, 0, 4, 0, 0, 9, 0]))
    smf.heartbeat()


def case_refused_replacement_changes_nothing(lab):
    """A TEID that another session has: the session of the same CP F-SEID goes on as it was."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    other = smf.establish(plain(lab.ue()))
    owned, address = other.teid(1)
    session = smf.establish(ies.session_rules(ue, gnb.address, teid))
    wrong = [ies.up_pdr(1, 1, 1, ies.f_teid(owned, address)), ies.up_far(1)]
    smf.establish(wrong, cause=71, cp_seid=session.cp_seid)
    host.send(ue)
    gnb.wait(teid, 1)
    session.modify([ies.update_far(2, ies.DROP)])
    session.delete()
    other.delete()


def case_same_cp_f_seid_replaces(lab):
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    before = lab.metric("sluice_sessions")
    ue, old, new = lab.ue(), lab.teid(), lab.teid()
    first = smf.establish(ies.session_rules(ue, gnb.address, old), cp_seid=0x4711)
    second = smf.establish(ies.session_rules(ue, gnb.address, new), cp_seid=0x4711)
    assert first.up_seid != second.up_seid
    assert lab.metric("sluice_sessions") == before + 1
    host.send(ue)
    gnb.wait(new, 1)
    assert gnb.of(old) == []
    assert smf.request(54, [], seid=first.up_seid).cause == 65


def case_ue_address_conflict(lab):
    """Within a peer the newest wins; across peers it is refused."""
    smf, other, gnb, host = lab.smf(), lab.smf(), lab.gnb(), lab.host()
    ue, old, new = lab.ue(), lab.teid(), lab.teid()
    smf.establish(ies.session_rules(ue, gnb.address, old))
    other.establish(ies.session_rules(ue, gnb.address, lab.teid()), cause=73)
    host.send(ue)
    gnb.wait(old, 1)
    smf.establish(ies.session_rules(ue, gnb.address, new))
    host.send(ue)
    gnb.wait(new, 1)
    assert len(gnb.of(old)) == 1


def case_teid_of_another_session(lab):
    """TEIDs that the SMF chooses are taken as they are, unless another session has them."""
    smf = lab.smf()
    mine = ies.f_teid(0xABCD0001, "192.0.2.1")
    smf.establish([ies.up_pdr(1, 1, 1, mine), ies.up_far(1)])
    smf.establish([ies.up_pdr(1, 1, 1, mine), ies.up_far(1)], cause=71)
    strange = ies.f_teid(0xABCD0002, "203.0.113.77")
    response = smf.request(50, [*smf.head(1), ies.up_pdr(1, 1, 1, strange), ies.up_far(1)])
    assert response.cause in (69, 71, 73), response.cause


def chosen(smf, count):
    """(UP SEID, TEID) of so many sessions made in a row; the requests are written once."""
    mark = (0xA1B2C3D4E5F60718).to_bytes(8, "big")
    body = [ies.up_pdr(1, 1, 1, ies.choose()), ies.up_far(1)]
    data, _ = smf.message(50, [*smf.head(int.from_bytes(mark, "big")), *body])
    smf.raw_sink, sent, found = [], 0, {}
    deadline = time.monotonic() + 60
    while len(found) < count:
        assert time.monotonic() < deadline, f"{sent - len(found)} establishments without an answer"
        while sent < count and sent - len(found) < 100:
            one = data.replace(mark, (0x7000000 + sent).to_bytes(8, "big"))
            smf.send(one[:12] + (0x100000 + sent).to_bytes(3, "big") + one[15:])
            sent += 1
        answers, smf.raw_sink = smf.raw_sink, []
        for answer in answers:
            assert b"\0\x13\0\x01\x01" in answer, Message(answer, None).cause
            seid = answer[answer.index(b"\0\x39\0", 16) + 5:][:8]
            teid = answer[answer.index(b"\0\x15\0\x09\x01", 16) + 5:][:4]
            found[answer[12:15]] = int.from_bytes(seid, "big"), int.from_bytes(teid, "big")
        time.sleep(0.001)
    smf.raw_sink = None
    return list(found.values())


def case_numbers_are_unpredictable(lab, count="2000"):
    """Neither zero, nor in steps, nor one from another; not used again soon."""
    smf = lab.smf()
    found = chosen(smf, int(count))
    for what, numbers in (("SEID", [s for s, _ in found]), ("TEID", [t for _, t in found])):
        assert len(set(numbers)) == len(numbers) and 0 not in numbers, f"{what} twice or zero"
        steps = [b - a for a, b in zip(numbers, numbers[1:])]
        (_, common), = Counter(steps).most_common(1)
        assert common < len(steps) * 0.01, f"{what}: one step {common} times"
        shares = [sum(n >> bit & 1 for n in numbers) / len(numbers) for bit in range(64)]
        random = sum(0.45 < share < 0.55 for share in shares)
        assert random >= (40 if what == "SEID" else 10), f"{what}: {random} bits look random"
    # A TEID's first octet says which worker; the others must say nothing of other sessions'.
    lows = {teid & 0xffffff for _, teid in found}
    assert len(lows) > 0.99 * len(found), f"{len(lows)} different ends of {len(found)} TEIDs"
    smf.release()
    smf.associate()
    again = chosen(smf, 200)
    assert not {s for s, _ in found} & {s for s, _ in again}, "a SEID was used again at once"
    assert not {t for _, t in found} & {t for _, t in again}, "a TEID was used again at once"
