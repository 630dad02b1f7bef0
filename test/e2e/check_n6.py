"""Decodes what passed an N6 device with scapy, ICMP errors of the UPF above all.

Usage: check_n6.py CAPTURE UPF_ADDRESS…; prints one JSON object: errors as "TYPE/CODE MTU" with
their count, and complaints.
"""

import json
import sys
from collections import Counter

from scapy.all import ICMP, IP, IPv6, RawPcapReader, raw
from scapy.layers.inet6 import ICMPv6PacketTooBig

# Behind IP and ICMP header.
QUOTE_V4, QUOTE_V6 = 28, 48


def again(packet, layer):
    """The checksum of a layer as scapy computes it."""
    copy = packet.copy()
    name = "cksum" if "cksum" in copy[layer].fields else "chksum"
    claimed = getattr(copy[layer], name)
    delattr(copy[layer], name)
    return getattr(type(packet)(raw(copy))[layer], name) == claimed


def error_of(packet):
    """(Name, what it quotes) of an ICMP error, or None."""
    if isinstance(packet, IP) and ICMP in packet and packet[ICMP].type in (3, 11):
        icmp = packet[ICMP]
        mtu = f" {icmp.nexthopmtu}" if icmp.type == 3 else ""
        return f"{icmp.type}/{icmp.code}{mtu}", ICMP, raw(packet)[QUOTE_V4:]
    if isinstance(packet, IPv6) and ICMPv6PacketTooBig in packet:
        error = packet[ICMPv6PacketTooBig]
        return f"2/0 {error.mtu}", ICMPv6PacketTooBig, raw(packet)[QUOTE_V6:]
    return None


def complaint_of(packet, data, found, seen):
    """What is wrong with a packet, or None."""
    length = packet.len if isinstance(packet, IP) else packet.plen + 40
    if length != len(data):
        return f"length {length}, bytes {len(data)}"
    if isinstance(packet, IP) and not again(packet, IP):
        return "IPv4 checksum"
    if found is None:
        return None
    name, layer, quoted = found
    if not again(packet, layer):
        return f"checksum of ICMP {name}"
    if not any(one.startswith(quoted) for one in seen):
        return f"ICMP {name} quotes what never came"
    return None


def main():
    upf = set(sys.argv[2:])
    errors, complaints, seen = Counter(), [], []
    for data, _ in RawPcapReader(sys.argv[1]):
        packet = (IPv6 if data[0] >> 4 == 6 else IP)(data)
        found = error_of(packet) if packet.src in upf else None
        if found is not None:
            errors[found[0]] += 1
        complaint = complaint_of(packet, data, found, seen)
        if complaint is not None:
            complaints.append(f"{packet.src} > {packet.dst}: {complaint}")
        seen.append(data)
    print(json.dumps({"errors": errors, "complaints": complaints[:10]}))


main()
