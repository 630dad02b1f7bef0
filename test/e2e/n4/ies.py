"""Information elements in few words, built with scapy: a codec that shares nothing with Sluice.

Numbers and flags are those of TS 29.244; where scapy 2.5 does not know an element, raw() writes it.
"""

import ipaddress

from scapy.contrib import pfcp as p

ACCESS, CORE, N6_LAN, CP, VN = range(5)
DROP, FORW, BUFF, NOCP = 1, 2, 4, 8
QFI = 9


def raw(kind, data=b""):
    """Any element, as its type and its octets."""
    return p.IE_NotImplemented(ietype=kind, data=data)


def vendor(enterprise, data):
    return p.IE_EnterpriseSpecific(ietype=0x8000 | 77, enterprise_id=enterprise, data=data)


def node_id(name):
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return p.IE_NodeId(id_type=2, id=name)
    if address.version == 4:
        return p.IE_NodeId(id_type=0, ipv4=name)
    return p.IE_NodeId(id_type=1, ipv6=name)


def f_seid(seid, address):
    if ":" in address:
        return p.IE_FSEID(v6=1, seid=seid, ipv6=address)
    return p.IE_FSEID(v4=1, seid=seid, ipv4=address)


def choose(chid=None, v4=1, v6=0):
    """An F-TEID that the UPF is to choose."""
    if chid is None:
        return p.IE_FTEID(CH=1, V4=v4, V6=v6)
    return p.IE_FTEID(CH=1, CHID=1, V4=v4, V6=v6, choose_id=chid)


def f_teid(teid, address):
    return p.IE_FTEID(V4=1, TEID=teid, ipv4=address)


def ue_ip(v4=None, v6=None, sd=0):
    return p.IE_UE_IP_Address(
        SD=sd, V4=int(v4 is not None), V6=int(v6 is not None), ipv4=v4 or 0, ipv6=v6 or "::"
    )


def sdf(text, **more):
    return p.IE_SDF_Filter(FD=1, flow_description=text, **more)


def network(name):
    """A network instance as plain text, as most SMFs write it."""
    return raw(22, name.encode())


def source(interface):
    return p.IE_SourceInterface(interface=interface)


def pdi(interface, *more):
    return p.IE_PDI(IE_list=[source(interface), *more])


def rules_of(fars=(), qers=(), urrs=()):
    return [
        *(p.IE_FAR_Id(id=n) for n in fars),
        *(p.IE_URR_Id(id=n) for n in urrs),
        *(p.IE_QER_Id(id=n) for n in qers),
    ]


def pdr(number, precedence, what, far, qers=(), urrs=(), decap=False, more=()):
    removal = [p.IE_OuterHeaderRemoval(header=6)] if decap else []
    far = [] if far is None else [far]
    head = [p.IE_PDR_Id(id=number), p.IE_Precedence(precedence=precedence), what]
    return p.IE_CreatePDR(IE_list=[*head, *removal, *rules_of(far, qers, urrs), *more])


def up_pdr(number, precedence, far, teid=None, *more, **rules):
    """Access side: the F-TEID is chosen by the UPF unless given."""
    tunnel = choose(1) if teid is None else teid
    return pdr(number, precedence, pdi(ACCESS, tunnel, *more), far, decap=True, **rules)


def down_pdr(number, precedence, far, ue, *more, **rules):
    what = pdi(CORE, network("internet"), ue_ip(ue) if isinstance(ue, str) else ue, *more)
    return pdr(number, precedence, what, far, **rules)


def action(flags):
    """Two octets, as Open5GS and OAI write it."""
    return raw(44, bytes([flags, 0]))


def outer(teid, address):
    if ":" in address:
        return p.IE_OuterHeaderCreation(GTPUUDPIPV6=1, TEID=teid, ipv6=address)
    return p.IE_OuterHeaderCreation(GTPUUDPIPV4=1, TEID=teid, ipv4=address)


def to(interface, *more):
    return [p.IE_DestinationInterface(interface=interface), *more]


def far(number, flags, forward=None, *more):
    parts = [p.IE_FAR_Id(id=number), action(flags)]
    if forward is not None:
        parts.append(p.IE_ForwardingParameters(IE_list=forward))
    return p.IE_CreateFAR(IE_list=[*parts, *more])


def up_far(number):
    return far(number, FORW, to(CORE, network("internet")))


def down_far(number, teid, address):
    return far(number, FORW, to(ACCESS, network("internet"), outer(teid, address)))


def update_far(number, flags=None, forward=None, *more):
    parts = [p.IE_FAR_Id(id=number)]
    if flags is not None:
        parts.append(action(flags))
    if forward is not None:
        parts.append(p.IE_UpdateForwardingParameters(IE_list=forward))
    return p.IE_UpdateFAR(IE_list=[*parts, *more])


def qer(number, mbr=None, ul=0, dl=0, qfi=QFI, kind=p.IE_CreateQER, more=()):
    """`mbr`: uplink and downlink in kbit/s; gates are 0 for open, 1 for closed."""
    parts = [p.IE_QER_Id(id=number), p.IE_GateStatus(ul=ul, dl=dl)]
    if mbr is not None:
        parts.append(p.IE_MBR(ul=mbr[0], dl=mbr[1]))
    if qfi is not None:
        parts.append(p.IE_QFI(QFI=qfi))
    return kind(IE_list=[*parts, *more])


# Octets of Reporting Triggers (37).
PERIO, VOLTH, TIMTH, QUHTI, START, STOPT, DROTH, LIUSA = (1 << n for n in range(16, 24))
VOLQU, TIMQU = 1 << 8, 1 << 9


def urr(number, method, triggers, *more, kind=p.IE_CreateURR):
    """`method`: 1 duration, 2 volume; `triggers`: three octets as one number."""
    head = [p.IE_URR_Id(id=number), p.IE_MeasurementMethod(VOLUM=method >> 1 & 1, DURAT=method & 1)]
    return kind(IE_list=[*head, raw(37, triggers.to_bytes(3, "big")), *more])


def volume_threshold(total=None, up=None, down=None):
    return _volume(p.IE_VolumeThreshold, total, up, down)


def volume_quota(total=None, up=None, down=None):
    return _volume(p.IE_VolumeQuota, total, up, down)


def _volume(kind, total, up, down):
    return kind(
        TOVOL=int(total is not None), ULVOL=int(up is not None), DLVOL=int(down is not None),
        total=total or 0, uplink=up or 0, downlink=down or 0,
    )


def session_rules(ue, gnb, gnb_teid, qers=(), urrs=(), precedence=255):
    """The plainest session: everything up to N6, everything down to one gNB."""
    rules = {"qers": [n for n, _ in qers], "urrs": [n for n, _ in urrs]}
    return [
        up_pdr(1, precedence, 1, None, network("internet"), ue_ip(ue), **rules),
        down_pdr(2, precedence, 2, ue, **rules),
        up_far(1),
        down_far(2, gnb_teid, gnb),
        *(one for _, one in qers),
        *(one for _, one in urrs),
    ]
