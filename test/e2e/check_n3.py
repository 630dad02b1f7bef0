"""Decodes what left N3 with scapy, a codec that shares nothing with the product.

Usage: check_n3.py CAPTURE UPF_ADDRESS…; prints one JSON object with counts and complaints.
"""

import json
import socket
import struct
import sys

from scapy.all import IP, TCP, UDP, IPv6, PcapReader, raw
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer


def inner_complaint(packet):
    """What is wrong with an inner packet, or None; checksums are recomputed by scapy."""
    version = raw(packet)[0] >> 4 if raw(packet) else 0
    again = {4: IP, 6: IPv6}.get(version)
    if again is None:
        return f"inner IP version {version}"
    parsed = again(raw(packet))
    claimed = parsed.len if version == 4 else parsed.plen + 40
    if claimed != len(raw(packet)):
        return f"inner length {claimed}, bytes {len(raw(packet))}"
    if version == 4:
        bare = parsed.copy()
        del bare.chksum
        if IP(raw(bare)).chksum != parsed.chksum:
            return "inner IPv4 checksum"
    return None


def downlink_complaint(gtp):
    """What is wrong with a G-PDU to a gNB, or None."""
    container = gtp.getlayer(GTPPDUSessionContainer)
    if container is None:
        return "no PDU Session Container"
    if container.type != 0:
        return f"container type {container.type}"
    if container.QFI != 9:
        return f"QFI {container.QFI}"
    return inner_complaint(container.payload)


def error_indication_complaint(message, upf):
    """What is wrong with an Error Indication (TS 29.281 7.3.1), or None."""
    flags, kind, length, teid = struct.unpack("!BBHI", message[:8])
    if flags != 0x32 or teid != 0 or length != len(message) - 8:
        return f"Error Indication header {message[:8].hex()}"
    # Behind the sequence number: TEID Data I, then the peer's address, which was the UPF's.
    elements = message[12:]
    if elements[:1] != b"\x10" or elements[5:8] != b"\x85\0\x04" or len(elements) != 12:
        return f"Error Indication elements {elements.hex()}"
    address = socket.inet_ntoa(elements[8:12])
    return None if address in upf else f"Error Indication about {address}"


def is_fragment(gtp):
    """Whether the inner packet is a piece of an IPv4 packet."""
    container = gtp.getlayer(GTPPDUSessionContainer)
    inner = raw(container.payload) if container is not None else b""
    return len(inner) > 8 and inner[0] >> 4 == 4 and inner[6:8] not in (b"\0\0", b"\x40\0")


def flow_of(outer, gtp):
    """The flow of an inner packet inside its tunnel."""
    inner = gtp.getlayer(GTPPDUSessionContainer).payload
    ports = (inner.payload.sport, inner.payload.dport) if isinstance(inner.payload, (TCP, UDP)) else ()
    return (outer.dst, gtp.teid, inner.src, inner.dst, type(inner.payload).__name__, *ports)


def main():
    upf = set(sys.argv[2:])
    source_ports = {}
    result = dict.fromkeys(("gpdu", "fragments", "echo", "asked", "errors", "ends", "v6", "flows"), 0)
    result["complaints"] = []
    for frame in PcapReader(sys.argv[1]):
        ip = frame.payload
        if not isinstance(ip, (IP, IPv6)) or ip.src not in upf:
            continue
        udp = ip.payload
        if not isinstance(udp, UDP):
            result["complaints"].append(f"no UDP: {ip.summary()}")
            continue
        gtp = udp.getlayer(GTP_U_Header) or GTP_U_Header(raw(udp.payload))
        if gtp.gtp_type == 255:
            result["gpdu"] += 1
            result["v6"] += isinstance(ip, IPv6)
            result["fragments"] += is_fragment(gtp)
            complaint = downlink_complaint(gtp)
            if gtp.length != len(raw(udp.payload)) - 8:
                complaint = f"GTP-U length {gtp.length} of {len(raw(udp.payload))} bytes"
            elif complaint is None and not is_fragment(gtp):
                flow = flow_of(ip, gtp)
                if source_ports.setdefault(flow, udp.sport) != udp.sport:
                    complaint = f"from ports {source_ports[flow]} and {udp.sport}: {flow}"
            if complaint is not None:
                result["complaints"].append(f"{ip.src} > {ip.dst}: {complaint}")
        elif gtp.gtp_type == 2:
            result["echo"] += 1
        elif gtp.gtp_type == 1 and gtp.teid == 0 and gtp.S == 1:
            result["asked"] += 1
        elif gtp.gtp_type == 26:
            result["errors"] += 1
            complaint = error_indication_complaint(raw(udp.payload), upf)
            if complaint is not None:
                result["complaints"].append(complaint)
        elif gtp.gtp_type == 254 and gtp.teid != 0:
            result["ends"] += 1
        else:
            result["complaints"].append(f"message type {gtp.gtp_type}")
    result["flows"] = len(source_ports)
    result["complaints"] = result["complaints"][:10]
    print(json.dumps(result))


main()
