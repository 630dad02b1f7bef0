"""The life of a session over N4 while packets flow: tunnels, gates, rates, path switch, storms."""

import struct
import subprocess
import threading
import time

from scapy.contrib import pfcp as p

import ies
from lab import SERVER
from traffic import END_MARKER, KernelUe, gpdu, ping, udp


def opened(lab, **how):
    """SMF, gNB, host, UE address, gNB's TEID and the session."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    return smf, gnb, host, ue, teid, smf.establish(ies.session_rules(ue, gnb.address, teid, **how))


def goes_up(gnb, host, session, ue, wait=2.0):
    teid, upf = session.teid(1)
    gnb.send(teid, udp(ue, host.address, b"up", dport=host.port), upf=upf)
    return bool(host.take(1, wait))


def goes_down(gnb, host, ue, teid, wait=2.0):
    before = len(gnb.of(teid))
    host.send(ue)
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline and len(gnb.of(teid)) == before:
        time.sleep(0.005)
    return len(gnb.of(teid)) > before


def ends_up(gnb, host, session, ue):
    """Nothing of the UE arrives."""
    return not goes_up(gnb, host, session, ue, wait=0.3)


def ends_down(gnb, host, ue, teid):
    return not goes_down(gnb, host, ue, teid, wait=0.3)


def case_both_ways(lab):
    _, gnb, host, ue, teid, session = opened(lab, qers=[(1, ies.qer(1, qfi=9))])
    up_teid, upf = session.teid(1)
    gnb.send(up_teid, udp(ue, host.address, b"hello", dport=host.port), upf=upf)
    (payload, source), = host.take(1)
    assert (payload, source) == (b"hello", (ue, 1000)), (payload, source)
    host.send(ue, b"back")
    got, = gnb.wait(teid, 1)
    assert (got.container, got.qfi, got.rqi, got.ppi) == (0, 9, 0, None)
    assert got.inner.dst == ue and bytes(got.inner.payload.payload) == b"back"
    assert got.source == ("192.0.2.1", got.source[1]) and got.flags == 0x34
    gnb.send(up_teid, ping(ue, SERVER))
    answer = gnb.wait(teid, 2)[1].inner
    assert answer.src == SERVER and answer.payload.type == 0
    session.delete()
    assert ends_up(gnb, host, session, ue) and ends_down(gnb, host, ue, teid)


def case_rqi_and_ppi(lab):
    marks = [p.IE_RQI(RQI=1), p.IE_PagingPolicyIndicator(ppi=5)]
    _, gnb, host, ue, teid, _ = opened(lab, qers=[(1, ies.qer(1, qfi=9, more=marks))])
    host.send(ue)
    got, = gnb.wait(teid, 1)
    assert (got.qfi, got.rqi, got.ppi) == (9, 1, 5), (got.qfi, got.rqi, got.ppi)


def case_without_qer_has_the_sessions_qfi(lab):
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, gnb.address, teid)
    rules[0] = ies.up_pdr(1, 255, 1, None, ies.ue_ip(ue), qers=[1])
    smf.establish([*rules, ies.qer(1, qfi=7)])
    host.send(ue)
    assert gnb.wait(teid, 1)[0].qfi == 7


def case_ipv6_tunnel_and_peer(lab):
    smf, gnb, host = lab.smf(v6=True), lab.gnb(v6=True), lab.host()
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, gnb.address, teid)
    rules[0] = ies.up_pdr(1, 255, 1, ies.choose(v4=0, v6=1), ies.ue_ip(ue))
    session = smf.establish(rules)
    tunnel = next(one for one in session.created[1] if one.ietype == 21)
    assert (tunnel.V4, tunnel.V6, tunnel.ipv6) == (0, 1, "fd00:3::1"), tunnel
    gnb.send(tunnel.TEID, udp(ue, host.address, dport=host.port))
    assert host.take(1) and goes_down(gnb, host, ue, teid)


def case_kernel_programs(lab):
    """ping, curl and iperf3 of a kernel that is the UE."""
    _, gnb, _, ue, teid, session = opened(lab, qers=[(1, ies.qer(1))])
    device = KernelUe(gnb, "n4ue", ue, session.teid(1)[0], teid, [f"{SERVER}/32"])
    try:
        done = subprocess.run(["ping", "-c", "3", "-i", "0.1", "-w", "5", SERVER],
                              capture_output=True, text=True, check=False)
        assert "3 received" in done.stdout, done.stdout
        server = lab.in_dn("/usr/bin/python3", "-m", "http.server", "8010", "--bind", SERVER,
                           "-d", "/usr/share/common-licenses")
        try:
            url = f"http://{SERVER}:8010/GPL-3"
            fetch = ["curl", "-sSf", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"]
            done = subprocess.run([*fetch, url], capture_output=True, check=False)
            with open("/usr/share/common-licenses/GPL-3", "rb") as file:
                assert done.stdout == file.read(), done.stderr
        finally:
            server.kill()
            server.wait()
        server = lab.in_dn("iperf3", "-s", "-1", "-p", "5301", "--forceflush")
        try:
            server.stdout.read(1)
            run = ["iperf3", "-c", SERVER, "-p", "5301", "-t", "1", "-R"]
            done = subprocess.run(run, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            server.kill()
            server.wait()
    finally:
        device.close()


def case_path_switch(lab):
    """One End Marker, after the last packet of the old tunnel; no packet lost or out of order."""
    _, old, host, ue, old_teid, session = opened(lab)
    new, new_teid = lab.gnb(), lab.teid()
    sending = threading.Thread(target=host.send_numbers, args=(ue, 0, 600, 0.001))
    sending.start()
    old.wait(old_teid, 100)
    # TS 29.244 has the flag inside Update Forwarding Parameters.
    switch = [ies.outer(new_teid, new.address), p.IE_PFCPSMReqFlags(SNDEM=1)]
    session.modify([ies.update_far(2, None, switch)])
    sending.join()
    new.wait(new_teid, 1)
    deadline = time.monotonic() + 5
    while len(old.of(old_teid)) + len(new.of(new_teid)) < 600 and time.monotonic() < deadline:
        time.sleep(0.01)
    first = [one.number for one in old.of(old_teid)]
    then = [one.number for one in new.of(new_teid)]
    assert first + then == list(range(600)), f"{len(first)} + {len(then)}"
    kinds = [one.type for one in old.received if one.teid == old_teid]
    assert kinds.count(END_MARKER) == 1 and kinds[-1] == END_MARKER, kinds[-3:]
    assert [one.type for one in new.received].count(END_MARKER) == 0
    # The same tunnel again is no switch.
    session.modify([ies.update_far(2, None, switch)])
    session.modify([ies.update_far(2, None, [ies.outer(old_teid, old.address)])])
    assert goes_down(old, host, ue, old_teid)
    assert new.of(new_teid, END_MARKER) == [], "an End Marker that nobody asked for"


def case_gates(lab):
    _, gnb, host, ue, teid, session = opened(lab, qers=[(1, ies.qer(1))])
    for ul, dl in ((1, 0), (0, 1), (1, 1), (0, 0)):
        session.modify([ies.qer(1, ul=ul, dl=dl, qfi=None, kind=p.IE_UpdateQER)])
        up, down = (goes_up, ends_up)[ul], (goes_down, ends_down)[dl]
        assert up(gnb, host, session, ue), f"uplink, gates {ul} {dl}"
        assert down(gnb, host, ue, teid), f"downlink, gates {ul} {dl}"


def case_precedence_swapped_by_an_update(lab):
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    only = ies.sdf(f"permit out 17 from {SERVER} {host.port} to assigned")
    rules = ies.session_rules(ue, gnb.address, teid)
    drop = [ies.up_pdr(3, 300, 3, None, only), ies.far(3, ies.DROP)]
    session = smf.establish([*rules, *drop])
    assert session.teid(1) == session.teid(3), "one CHOOSE ID, two F-TEIDs"
    assert goes_up(gnb, host, session, ue)
    first = p.IE_UpdatePDR(IE_list=[p.IE_PDR_Id(id=3), p.IE_Precedence(precedence=10)])
    session.modify([first])
    assert ends_up(gnb, host, session, ue)
    gnb.send(session.teid(1)[0], ping(ue, SERVER))
    gnb.wait(teid, 1)
    swap = [p.IE_UpdatePDR(IE_list=[p.IE_PDR_Id(id=3), p.IE_Precedence(precedence=500)])]
    session.modify(swap)
    assert goes_up(gnb, host, session, ue)


def measured(gnb, host, session, ue, teid, seconds, mbr_kbps, down):
    """Inner bit/s that got through at about ten times the rate."""
    size, up = 1228, session.teid(1)[0]
    packet = gpdu(up, udp(ue, host.address, b"m" * (size - 28), dport=host.port))
    taken = []
    if not down:
        reader = threading.Thread(target=lambda: taken.extend(
            host.take(1 << 30, timeout=seconds + 0.3)))
        reader.start()
    start, sent = time.monotonic(), 0
    per_s = mbr_kbps * 1000 * 10 / 8 / size
    while (now := time.monotonic()) - start < seconds:
        while sent < (now - start) * per_s:
            if down:
                host.send(ue, b"m" * (size - 28))
            else:
                gnb.send_bytes(packet)
            sent += 1
        time.sleep(0.0005)
    elapsed = time.monotonic() - start
    if down:
        time.sleep(0.3)
        got = len(gnb.of(teid))
    else:
        reader.join()
        got = len(taken)
    offered = sent * size * 8 / elapsed
    assert offered > 3000 * mbr_kbps, f"offered only {offered:.0f} bit/s"
    return got * size * 8 / elapsed


def case_mbr(lab, seconds="3", kbps="2000"):
    mbr = int(kbps)
    for down in (True, False):
        _, gnb, host, ue, teid, session = opened(lab, qers=[(1, ies.qer(1, mbr=(mbr, mbr)))])
        rate = measured(gnb, host, session, ue, teid, float(seconds), mbr, down)
        # The bucket's depth comes on top, once: 50 ms of the rate.
        most = mbr * 1000 * (1.05 + 0.05 / float(seconds))
        assert mbr * 950 <= rate <= most, f"{'down' if down else 'up'}: {rate:.0f} of {mbr}000"
        session.delete()


def case_mbr_of_zero_blocks(lab):
    _, gnb, host, ue, teid, session = opened(lab, qers=[(1, ies.qer(1, mbr=(0, 1000)))])
    assert ends_up(gnb, host, session, ue)
    assert goes_down(gnb, host, ue, teid)


def case_two_qers_both_apply(lab):
    """free5GC: a flow's QER and the session's AMBR at one PDR."""
    qers = [(1, ies.qer(1)), (2, ies.qer(2, qfi=None))]
    _, gnb, host, ue, teid, session = opened(lab, qers=qers)
    assert goes_up(gnb, host, session, ue) and goes_down(gnb, host, ue, teid)
    session.modify([ies.qer(2, ul=1, qfi=None, kind=p.IE_UpdateQER)])
    assert ends_up(gnb, host, session, ue) and goes_down(gnb, host, ue, teid)


def case_spoofed_source(lab):
    _, gnb, host, _, _, session = opened(lab)
    before = lab.dropped("spoofed_source")
    gnb.send(session.teid(1)[0], udp("10.60.255.250", host.address, dport=host.port))
    host.silent()
    assert lab.dropped("spoofed_source") == before + 1


def case_storm_of_modifications_under_traffic(lab, seconds="2"):
    """No packet lost, and none to a tunnel that was never asked for."""
    _, gnb, host, ue, teid, session = opened(lab, qers=[(1, ies.qer(1))])
    other, count, stop = lab.teid(), 0, threading.Event()
    sent = [0]

    def send():
        while not stop.is_set():
            host.socket.sendto(struct.pack("!I", sent[0]) + b"n" * 28, (ue, 4000))
            sent[0] += 1
            time.sleep(0.0005)

    sending = threading.Thread(target=send)
    sending.start()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        target = (teid, other)[count % 2]
        session.modify([ies.update_far(2, None, [ies.outer(target, gnb.address)]),
                        p.IE_UpdatePDR(IE_list=[p.IE_PDR_Id(id=2),
                                                p.IE_Precedence(precedence=100 + count % 50)])])
        count += 1
    stop.set()
    sending.join()
    deadline = time.monotonic() + 5
    while len(gnb.received) < sent[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    numbers = [one.number for one in gnb.received]
    assert numbers == list(range(sent[0])), f"{len(numbers)} of {sent[0]} or out of order"
    assert {one.teid for one in gnb.received} == {teid, other} and count > 20, count
