"""Messages that are wrong, each with what a client sees of it; nothing is ever half done."""

import random
import struct

from scapy.contrib import pfcp as p

import ies
from smf import find, now_ntp

GNB = "192.0.2.2"


def plain(ue="10.60.200.1"):
    return ies.session_rules(ue, GNB, 0x77, qers=[(1, ies.qer(1))])


def with_length(data):
    """The octets with the header's length made true."""
    return data[:2] + struct.pack("!H", len(data) - 4) + data[4:]


def renumbered(data, seq):
    """Another sequence number in a message with a SEID."""
    return data[:12] + seq.to_bytes(3, "big") + data[15:]


def refused(lab, smf, elements, cause, offending=None, rule=None, more=None):
    """An establishment that has to fail with this cause, and that leaves nothing behind."""
    before = lab.metric("sluice_sessions")
    causes = cause if isinstance(cause, tuple) else (cause,)
    request = [*smf.head(0x5151), *elements, *(more or [])]
    response = smf.request(50, request)
    said = f"cause {response.cause}, offending {response.offending}, rule {response.failed_rule}"
    assert response.cause in causes, f"{said}, not {cause}"
    if offending is not None:
        assert response.offending == offending, f"{said}, not offending {offending}"
    if rule is not None:
        assert response.failed_rule == rule, f"{said}, not rule {rule}"
    assert response.find(60) is not None, "no Node ID"
    assert response.seid == 0x5151, f"SEID {response.seid}"
    assert lab.metric("sluice_sessions") == before, "something was installed"
    smf.heartbeat()


def case_every_prefix_of_an_establishment(lab):
    smf = lab.smf()
    before = lab.metric("sluice_sessions")
    whole, _ = smf.message(50, [*smf.head(0x600), *plain()])
    # As it came off a wire that lost the end: the size rule drops it.
    for end in range(len(whole)):
        smf.send(whole[:end])
    # And as a client would write it that means it.
    silent, answered = 0, []
    for end in range(4, len(whole)):
        data, seq = with_length(renumbered(whole, 0x10000 + end)[:end]), 0x10000 + end
        if end < 16:
            smf.send(data)
            silent += 1
            continue
        response = smf.exchange(data, seq, timeout=1)
        assert response is not None, f"no answer to the first {end} octets"
        assert response.cause in (66, 68, 69, 73), f"{end} octets: cause {response.cause}"
        answered.append(end)
    assert silent == 12 and len(answered) == len(whole) - 16
    assert smf.others == [], f"answered what has to be dropped: {smf.others[0].data.hex()}"
    assert lab.metric("sluice_sessions") == before
    response = smf.exchange(renumbered(whole, 0x20000), 0x20000)
    assert response.cause == 1, f"the whole of it: cause {response.cause}"


def case_version_not_supported(lab):
    smf = lab.smf()
    for first in (0x41, 0x01, 0xE0):
        for size in (8, 16, 3000):
            # Tested before the size rule; the sequence number is where no SEID would be.
            data = bytes([first & 0xFE, 50, 0, size - 4 if size < 100 else 1]) + b"\0\x12\x34\0"
            response = smf.exchange(data.ljust(size, b"\0"), 0x1234, timeout=1)
            assert response is not None, f"no answer to version {first >> 5}, {size} octets"
            assert response.data.hex() == "200b000400123400", response.data.hex()


def case_size_rule(lab):
    smf = lab.smf()
    data, _ = smf.message(1, [p.IE_RecoveryTimeStamp(timestamp=now_ntp())])
    for wrong in (data + b"\0", data[:-1], data[:7], data[:1], data[:2] + b"\xff\xff" + data[4:]):
        smf.send(wrong)
    smf.heartbeat()
    assert smf.others == [], smf.others[0].data.hex()


def case_any_priority_octet(lab):
    smf = lab.smf()
    for priority in (0, 7, 15):
        assert smf.request(5, [ies.node_id(smf.node), p.IE_RecoveryTimeStamp(
            timestamp=smf.started)], priority=priority).cause == 1
    smf.establish(plain(lab.ue()), priority=9)


def case_length_65535(lab):
    smf = lab.smf()
    long = ies.raw(141, b"")
    long.length = 65535
    refused(lab, smf, plain(), (68, 69), more=[long])
    inner = p.IE_CreatePDR(IE_list=[p.IE_PDR_Id(id=1)])
    inner.length = 65535
    refused(lab, smf, [], (68, 69), more=[inner])


def case_nested_1000_deep(lab):
    smf = lab.smf()
    for kind in (1, 2, 4):
        data = b""
        for _ in range(1000):
            data = struct.pack("!HH", kind, len(data)) + data
        body = ies.raw(kind, data[4:])
        refused(lab, smf, [body], (64, 66, 68, 69, 73, 75))


def case_child_longer_than_parent(lab):
    smf = lab.smf()
    child = ies.raw(56, b"\0\x01")
    child.length = 40
    refused(lab, smf, [p.IE_CreatePDR(IE_list=[child])], (68, 69), more=[ies.up_far(1)])


def case_zero_length_mandatory(lab):
    smf = lab.smf()
    seid = ies.f_seid(0x5151, smf.address)
    for head, offending in (([ies.raw(60), seid], 60), ([ies.node_id(smf.node), ies.raw(57)], 57)):
        response = smf.request(50, [*head, *plain()])
        assert response.cause in (66, 68, 69), response.cause
        assert response.offending == offending, response.offending
    broken = p.IE_CreatePDR(IE_list=[ies.raw(56), ies.pdi(ies.CORE), p.IE_FAR_Id(id=1)])
    refused(lab, smf, [broken, ies.up_far(1)], (66, 68), offending=56)


def case_unknown_and_vendor_elements_are_ignored(lab):
    smf = lab.smf()
    strange = [ies.raw(32000, b"later"), ies.vendor(10415, b"ours"), ies.raw(999)]
    inside = p.IE_CreatePDR(IE_list=[
        p.IE_PDR_Id(id=1), p.IE_Precedence(precedence=1), *strange,
        ies.pdi(ies.ACCESS, ies.choose(), *strange), p.IE_FAR_Id(id=1)])
    smf.establish([*strange, inside, ies.up_far(1)], more=strange)


def case_mandatory_missing(lab):
    smf = lab.smf()
    number, first = p.IE_PDR_Id(id=1), p.IE_Precedence(precedence=1)
    what, leads = ies.pdi(ies.CORE), p.IE_FAR_Id(id=1)
    up = ies.up_far(1)
    pdr = lambda *parts: p.IE_CreatePDR(IE_list=list(parts))
    refused(lab, smf, [pdr(number, first, leads), up], 66, offending=2)
    refused(lab, smf, [pdr(first, what, leads), up], 66, offending=56)
    refused(lab, smf, [pdr(number, what, leads), up], 66, offending=29)
    refused(lab, smf, [pdr(number, first, p.IE_PDI(IE_list=[]), leads), up], 66, offending=20)
    nameless = p.IE_CreateFAR(IE_list=[ies.action(ies.DROP)])
    refused(lab, smf, [pdr(number, first, what, leads), nameless], 66, offending=108)
    still = p.IE_CreateFAR(IE_list=[p.IE_FAR_Id(id=1)])
    refused(lab, smf, [pdr(number, first, what, leads), still], 66, offending=44)
    refused(lab, smf, [pdr(number, first, what, leads)], (66, 73))
    response = smf.request(50, [ies.node_id(smf.node), *plain()])
    assert (response.cause, response.offending) == (66, 57), response.offending
    response = smf.request(50, [ies.f_seid(1, smf.address), *plain()])
    assert (response.cause, response.offending) == (66, 60), response.offending
    response = smf.request(5, [ies.node_id(smf.node)])
    assert response.cause == 66, response.cause  # this response has no Offending IE


def case_duplicate_pdr(lab):
    smf = lab.smf()
    refused(lab, smf, [*plain(), ies.down_pdr(2, 9, 2, "10.60.200.1")], 73, rule=(0, 2))
    refused(lab, smf, [*plain(), ies.up_far(1)], 73, rule=(1, 1))
    refused(lab, smf, [*plain(), ies.qer(1)], 73, rule=(2, 1))


def case_missing_references(lab):
    smf = lab.smf()
    refused(lab, smf, [ies.up_pdr(1, 1, 9), ies.up_far(1)], 73)
    refused(lab, smf, [ies.up_pdr(1, 1, 1, qers=[7]), ies.up_far(1)], 73)
    refused(lab, smf, [ies.up_pdr(1, 1, 1, urrs=[7]), ies.up_far(1)], 73)
    session = smf.establish(plain(lab.ue()))
    for wrong in (
        [ies.up_pdr(5, 1, 9)],
        [p.IE_RemoveFAR(IE_list=[p.IE_FAR_Id(id=1)])],
        [p.IE_RemovePDR(IE_list=[p.IE_PDR_Id(id=77)])],
        [ies.update_far(44, ies.DROP)],
        [p.IE_UpdatePDR(IE_list=[p.IE_PDR_Id(id=1), p.IE_QER_Id(id=99)])],
    ):
        session.modify(wrong, cause=73)
    # Forward references inside one message are allowed.
    session.modify([ies.up_pdr(5, 1, 9, ies.choose()), ies.up_far(9)])


def case_modification_is_atomic(lab):
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    session = smf.establish(ies.session_rules(ue, gnb.address, teid))
    session.modify([ies.update_far(1, ies.DROP), ies.update_far(2, ies.DROP),
                    ies.up_pdr(9, 1, 99)], cause=73)
    host.send(ue)
    gnb.wait(teid, 1)


def case_two_cp_f_seids(lab):
    smf = lab.smf()
    second = ies.f_seid(0x9999, smf.address)
    smf.establish([second, *plain(lab.ue())])


SDF = {
    "permit out ip": (69, 73),
    "permit out ip from any to assigned uid": (69, 73),
    "table(1)": (69, 73),
    "permit out ip from 10.0.0.0/129 to assigned": (69, 73),
    "permit out ip from 2001:db8::/129 to assigned": (69, 73),
    "permit out 256 from any to assigned": (69, 73),
    "permit out 17 from any 70000 to assigned": (69, 73),
    "permit out 17 from any 9-3 to assigned": (69, 73),
    "permit out 17 from any 1,,2 to assigned": (69, 73),
    "deny in ip from any to any": (69, 73),
    "": (66, 68, 69, 73),
    "\0": (69, 73),
    "permit out ip from any to assigned" + " " * 100 + "x": (69, 73),
}


def case_bad_sdf_filters(lab):
    smf = lab.smf()
    for text, causes in SDF.items():
        bad = ies.up_pdr(1, 1, 1, None, ies.sdf(text))
        try:
            refused(lab, smf, [bad, ies.up_far(1)], causes)
        except AssertionError as error:
            raise AssertionError(f"{text!r}: {error}") from None
    huge = ies.up_pdr(1, 1, 1, None, ies.sdf("permit out ip from any to assigned" + " " * 60000))
    refused(lab, smf, [huge, ies.up_far(1)], (68, 69, 73, 75))
    lying = ies.raw(23, b"\x01\0" + struct.pack("!H", 500) + b"permit out ip from any to any")
    refused(lab, smf, [ies.up_pdr(1, 1, 1, None, lying), ies.up_far(1)], (68, 69, 73))


def case_outer_header_creation(lab):
    smf = lab.smf()
    core = ies.pdi(ies.CORE, ies.network("internet"), ies.ue_ip("10.60.200.1"))
    for octets, causes in (
        (b"\x01\0\0\0\0\x07\xc0\0", (68, 69)),  # cut off in the address
        (b"\x01\0", (68, 69)),
        (b"\x09\0\0\0\0\x07\xc0\0\x02\x02" + b"\0" * 18, (69, 73, 76)),  # GTPU4 | UDP6
        (b"\0\0", (69, 73, 76)),
        (b"\x01\0\0\0\0\x07\0\0\0\0", (69, 73)),  # to 0.0.0.0
    ):
        far = ies.far(1, ies.FORW, ies.to(ies.ACCESS, ies.raw(84, octets)))
        try:
            refused(lab, smf, [ies.pdr(1, 1, core, 1), far], causes)
        except AssertionError as error:
            raise AssertionError(f"{octets.hex()}: {error}") from None


def case_apply_action(lab):
    smf = lab.smf()
    for flags in (ies.FORW | ies.DROP, ies.BUFF | ies.DROP, ies.FORW | ies.BUFF, 0):
        far = ies.far(1, flags, ies.to(ies.CORE, ies.network("internet")))
        refused(lab, smf, [ies.up_pdr(1, 1, 1), far], 69, offending=44)
    # One octet, as older SMFs write it.
    short = p.IE_CreateFAR(IE_list=[p.IE_FAR_Id(id=1), ies.raw(44, b"\x01")])
    smf.establish([ies.up_pdr(1, 1, 1), short])


def case_too_many_rules(lab):
    smf = lab.smf()
    many = [ies.up_pdr(n, n, 1, ies.choose(1)) for n in range(1, 700)]
    refused(lab, smf, [*many, ies.up_far(1)], 75)
    session = smf.establish([ies.up_pdr(1, 1, 1), ies.up_far(1)])
    before = lab.metric("sluice_session_records_bytes")
    causes = []
    for first in range(2, 100_000, 2000):
        more = [ies.up_pdr(n, n, 1, ies.choose(1)) for n in range(first, first + 20)]
        causes.append(smf.request(52, more, seid=session.up_seid).cause)
        if len(causes) > 20:
            break
    assert set(causes) == {1, 75} and causes == sorted(causes), causes
    grown = lab.metric("sluice_session_records_bytes") - before
    assert grown < 100_000, f"{grown} bytes for one session"


def case_types_of_session_that_are_later(lab):
    smf = lab.smf()
    for kind in (4, 5):
        refused(lab, smf, plain(), 76, more=[p.IE_PDNType(pdn_type=kind)])
    redirect = p.IE_RedirectInformation(type=2, address=b"http://example.org")
    far = ies.far(1, ies.FORW, ies.to(ies.CORE, ies.network("internet"), redirect))
    refused(lab, smf, [ies.up_pdr(1, 1, 1), far], 76)
    enrich = p.IE_HeaderEnrichment(name=b"X-Name", value=b"value")
    far = ies.far(1, ies.FORW, ies.to(ies.CORE, ies.network("internet"), enrich))
    refused(lab, smf, [ies.up_pdr(1, 1, 1), far], 76)


def case_network_instance_that_no_port_has(lab):
    smf = lab.smf()
    far = ies.far(1, ies.FORW, ies.to(ies.CORE, ies.network("nowhere")))
    refused(lab, smf, [ies.up_pdr(1, 1, 1), far], (69, 73))


def case_mutations(lab, seed="20261126", rounds="1500"):
    """Valid messages with octets changed, cut, doubled: the UPF lives and answers others."""
    smf, other, dice = lab.smf(), lab.smf(), random.Random(int(seed))
    session = smf.establish(plain(lab.ue()))
    seeds = [smf.message(50, [*smf.head(0x700), *plain(lab.ue())])[0],
             smf.message(52, [ies.update_far(1, ies.DROP)], seid=session.up_seid)[0],
             smf.message(5, [ies.node_id(smf.node), p.IE_RecoveryTimeStamp(timestamp=1)])[0]]
    for n in range(int(rounds)):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(4, len(data))
            how = dice.randrange(4)
            if how == 0:
                data[at] = dice.randrange(256)
            elif how == 1:
                del data[at:at + dice.randint(1, 8)]
            elif how == 2:
                data[at:at] = data[at:at + dice.randint(1, 40)]
            else:
                data[at] ^= 1 << dice.randrange(8)
            data += b"\0" * max(0, 20 - len(data))
        smf.send(with_length(bytes(data)))
        if n % 100 == 99:
            other.heartbeat(timeout=2)
    smf.others.clear()
    other.establish(plain(lab.ue()))


def case_response_carries_what_it_must(lab):
    smf = lab.smf()
    response = smf.associate()
    assert [find(response.ies, kind) is not None for kind in (60, 19, 96, 43)] == [True] * 4
    features = bytes(response.find(43))[4:]
    assert features[0] & 0x10 and features[1] & 0x21 == 0x21, features.hex()
    session = smf.establish(plain(lab.ue()))
    assert session.up_seid, "no UP F-SEID"
    assert list(session.created) == [1], "only the PDR with a chosen F-TEID is reported"
