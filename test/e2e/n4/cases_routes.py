"""Rules beyond the plain session: CP-function PDRs, hairpin, framed routes, UL-CL, forwarding."""

import subprocess
import time

from scapy.contrib import pfcp as p
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, IPv6

import ies
from cases_life import ends_down, ends_up, goes_down, goes_up, opened
from lab import SERVER, SERVER_V6, UPF
from smf import find
from traffic import ERROR_INDICATION, Gnb, udp

UE_V6 = "fd00:60:0:77::"


def case_router_solicitation_and_advertisement(lab):
    """The SMF answers it: to the SMF by the CP FAR, back by the CP PDR and the downlink FAR."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host(SERVER_V6)
    smf_user_plane = lab.open(Gnb(smf.address, UPF))
    teid, smf_teid, ue = lab.teid(), lab.teid(), ies.ue_ip(v6=UE_V6 + "1")
    asks = ies.sdf("permit out 58 from ff02::2/128 to assigned")
    session = smf.establish([
        ies.down_pdr(1, 65535, 1, ue),
        ies.up_pdr(2, 65535, 2, ies.choose(5), ies.network("internet")),
        ies.pdr(3, 255, ies.pdi(ies.CP, ies.choose()), 1, decap=True),
        ies.up_pdr(4, 255, 3, ies.choose(5), ies.network("internet"), asks),
        ies.down_far(1, teid, gnb.address),
        ies.up_far(2),
        ies.far(3, ies.FORW, ies.to(ies.CP, ies.outer(smf_teid, smf.address))),
        ies.qer(1),
    ], more=[p.IE_PDNType(pdn_type=2)])
    assert session.teid(2) == session.teid(4) != session.teid(3)
    solicitation = bytes(IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS())
    gnb.send(session.teid(2)[0], solicitation)
    got, = smf_user_plane.wait(smf_teid, 1)
    assert got.payload == solicitation
    stranger = bytes(IPv6(src="fe80::9", dst="ff02::2", hlim=255) / ICMPv6ND_RS())
    gnb.send(session.teid(2)[0], stranger)
    gnb.send(session.teid(2)[0], solicitation)
    got, = smf_user_plane.wait(smf_teid, 1)
    assert got.payload == solicitation, "the UE was assigned the interface identifier ::1"
    advertisement = bytes(IPv6(src="fe80::2", dst="fe80::1", hlim=255) / ICMPv6ND_RA())
    smf_user_plane.send(session.teid(3)[0], advertisement, qfi=None)
    got, = gnb.wait(teid, 1)
    assert got.payload == advertisement and got.container == 0
    # And the UE's own traffic goes to N6 as ever.
    address = UE_V6 + "1"
    gnb.send(session.teid(2)[0], udp(address, host.address, dport=host.port))
    assert host.take(1) and goes_down(gnb, host, address, teid)


def case_hairpin(lab):
    """From UE to UE through the downlink PDR of the other, with its QFI."""
    _, gnb, host, ue, _, session = opened(lab)
    smf, other, teid = lab.smf(), lab.ue(), lab.teid()
    smf.establish(ies.session_rules(other, gnb.address, teid, qers=[(1, ies.qer(1, qfi=5))]))
    gnb.send(session.teid(1)[0], udp(ue, other, b"neighbour"))
    got, = gnb.wait(teid, 1)
    assert got.qfi == 5 and bytes(got.inner.payload.payload) == b"neighbour"
    assert got.inner.src == ue


def in_namespace(namespace, *command):
    subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", *command], check=True)


def case_framed_route(lab):
    """As RADIUS writes it; there with its PDR and gone with it."""
    route, behind = "10.99.7.0/24", "10.99.7.9"
    in_namespace(lab.upf_namespace, "ip", "route", "replace", route, "dev", "sluice0")
    in_namespace(lab.dn_namespace, "ip", "route", "replace", route, "via", "198.51.100.1")
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    rules = ies.session_rules(ue, gnb.address, teid)
    framed = ies.raw(153, f"{route} 0.0.0.0 1".encode())
    rules[0] = ies.up_pdr(1, 255, 1, None, ies.ue_ip(ue), framed)
    rules[1] = ies.down_pdr(2, 255, 2, ue, framed)
    session = smf.establish(rules)
    assert goes_down(gnb, host, behind, teid) and goes_up(gnb, host, session, behind)
    assert goes_down(gnb, host, ue, teid) and goes_up(gnb, host, session, ue)
    without = [p.IE_RemovePDR(IE_list=[p.IE_PDR_Id(id=n)]) for n in (1, 2)]
    tunnel = ies.f_teid(*session.teid(1))
    session.modify([*without, ies.up_pdr(3, 255, 1, tunnel, ies.ue_ip(ue)),
                    ies.down_pdr(4, 255, 2, ue)])
    gnb.received.clear()
    assert goes_down(gnb, host, ue, teid)
    assert ends_down(gnb, host, behind, teid) and ends_up(gnb, host, session, behind)


def case_uplink_classifier(lab):
    """free5GC: one tunnel, and one destination of it goes to another UPF over N9."""
    smf, gnb, host, anchor = lab.smf(), lab.gnb(), lab.host(), lab.gnb()
    ue, teid, n9 = lab.ue(), lab.teid(), lab.teid()
    tunnel = ies.f_teid(0x5500 + teid, UPF)
    only = ies.sdf("permit out ip from 203.0.113.0/24 to assigned")
    rules = ies.session_rules(ue, gnb.address, teid)
    rules[0] = ies.up_pdr(1, 255, 1, tunnel, ies.ue_ip(ue))
    branch = ies.far(3, ies.FORW, ies.to(ies.CORE, ies.network("internet"),
                                         ies.outer(n9, anchor.address)))
    smf.establish([*rules, ies.up_pdr(3, 30, 3, tunnel, ies.ue_ip(ue), only), branch])
    up = 0x5500 + teid
    gnb.send(up, udp(ue, "203.0.113.9", b"branch"))
    got, = anchor.wait(n9, 1)
    assert bytes(got.inner.payload.payload) == b"branch"
    gnb.send(up, udp(ue, host.address, dport=host.port))
    assert host.take(1) and len(anchor.received) == 1


def case_indirect_forwarding(lab):
    """From one gNB to another: an uplink container becomes a downlink one of the same QFI."""
    smf, source, target, teid = lab.smf(), lab.gnb(), lab.gnb(), lab.teid()
    session = smf.establish([
        ies.pdr(1, 255, ies.pdi(ies.ACCESS, ies.choose()), 1, decap=True),
        ies.far(1, ies.FORW, ies.to(ies.ACCESS, ies.outer(teid, target.address)))])
    inner = udp(SERVER, lab.ue(), b"late")
    source.send(session.teid(1)[0], inner, qfi=7)
    got, = target.wait(teid, 1)
    assert (got.container, got.qfi, got.payload) == (0, 7, inner), (got.container, got.qfi)


def error_indication(teid, address):
    octets = bytes(int(part) for part in address.split("."))
    return (b"\x32\x1a\0\x10\0\0\0\0\0\x01\0\0\x10" + teid.to_bytes(4, "big") + b"\x85\0\x04"
            + octets)


def case_error_indication_report(lab):
    """One a tunnel, until the FAR changes; not when it is forged."""
    smf, gnb, host, ue, teid, session = opened(lab)
    stranger = lab.gnb()
    stranger.send_bytes(error_indication(teid, gnb.address))
    gnb.send_bytes(error_indication(lab.teid(), gnb.address))
    time.sleep(0.3)
    assert smf.reports == [], "a forged Error Indication was believed"
    for _ in range(3):
        gnb.send_bytes(error_indication(teid, gnb.address))
    report, = smf.wait_reports(1)
    tunnel = find(report.find(99).IE_list, 21)
    assert bytes(report.find(39))[4] == 4 and report.seid == session.cp_seid
    assert (tunnel.TEID, tunnel.ipv4, tunnel.V4) == (teid, gnb.address, 1)
    time.sleep(0.3)
    assert len(smf.reports) == 1, "told twice"
    new = lab.teid()
    session.modify([ies.update_far(2, None, [ies.outer(new, gnb.address)])])
    gnb.send_bytes(error_indication(new, gnb.address))
    smf.wait_reports(2)


def case_unknown_teid_is_answered(lab):
    gnb = lab.gnb()
    gnb.send(0xDEAD0001, udp("10.60.0.9", SERVER))
    got, = gnb.wait(0, 1, ERROR_INDICATION)
    expected = error_indication(0xDEAD0001, UPF)[12:]
    assert got.payload == expected, got.payload.hex()


def case_application_filters_by_pfd(lab):
    """An application whose flows the SMF gave before, by PFD management."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    flow = f"permit out 17 from {SERVER} {host.port} to assigned".encode()
    contents = ies.raw(61, b"\x01\0" + len(flow).to_bytes(2, "big") + flow)
    context = p.IE_PFDContext(IE_list=[contents])
    pfds = p.IE_ApplicationID_PFDs(IE_list=[p.IE_ApplicationId(id=b"music"), context])
    assert smf.request(3, [pfds]).cause == 1
    ue, teid = lab.ue(), lab.teid()
    music = ies.up_pdr(3, 10, 3, ies.choose(1), p.IE_ApplicationId(id=b"music"))
    rules = ies.session_rules(ue, gnb.address, teid)
    session = smf.establish([*rules, music, ies.far(3, ies.DROP)])
    assert ends_up(gnb, host, session, ue)
    other = lab.host()
    assert goes_up(gnb, other, session, ue)
    unknown = ies.up_pdr(4, 5, 3, ies.choose(1), p.IE_ApplicationId(id=b"never heard of"))
    assert smf.request(52, [unknown], seid=session.up_seid).cause != 1


def case_traffic_endpoints(lab):
    """PDRs that name an endpoint in place of F-TEID and UE address."""
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    access = p.IE_CreateTrafficEndpoint(IE_list=[
        p.IE_TrafficEndpointId(id=1), ies.choose(), ies.network("internet")])
    core = p.IE_CreateTrafficEndpoint(IE_list=[
        p.IE_TrafficEndpointId(id=2), ies.network("internet"), ies.ue_ip(ue)])
    up = ies.pdr(1, 255, ies.pdi(ies.ACCESS, p.IE_TrafficEndpointId(id=1)), 1, decap=True)
    down = ies.pdr(2, 255, ies.pdi(ies.CORE, p.IE_TrafficEndpointId(id=2)), 2)
    session = smf.establish([up, down, access, core, ies.up_far(1),
                             ies.down_far(2, teid, gnb.address)])
    created = session.response.find(128)
    tunnel = find(created.IE_list, 21)
    assert find(created.IE_list, 131).id == 1 and tunnel.TEID != 0
    gnb.send(tunnel.TEID, udp(ue, host.address, dport=host.port))
    assert host.take(1) and goes_down(gnb, host, ue, teid)


def case_ue_address_chosen_by_the_upf(lab):
    smf, gnb, host = lab.smf(), lab.gnb(), lab.host()
    if not bytes(smf.associate().find(43))[6] & 4:  # UEIP, third octet
        raise AssertionError("UEIP is not advertised")
    teid, chv4 = lab.teid(), ies.raw(93, b"\x10")
    rules = [ies.up_pdr(1, 255, 1, None, chv4), ies.down_pdr(2, 255, 2, chv4), ies.up_far(1),
             ies.down_far(2, teid, gnb.address)]
    session = smf.establish(rules)
    ues = {one.ipv4 for parts in session.created.values() for one in parts if one.ietype == 93}
    assert len(ues) == 1, ues
    ue, = ues
    assert ue.startswith("10.60.") and goes_up(gnb, host, session, ue)
    assert goes_down(gnb, host, ue, teid)
