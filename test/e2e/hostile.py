"""Sends hostile N3 datagrams, built by hand and with scapy, one kind at a time.

Usage: hostile.py UPF TEID UE COPIES; reads the name of a case a line, sends it COPIES times,
answers with the name. "list" answers with all names.
"""

import random
import socket
import struct
import sys

from scapy.all import IP, UDP, Raw, conf, fragment, raw, send

UPF, TEID, UE, COPIES = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
SERVER = "198.51.100.2"
conf.verb = 0
random.seed(7)


def gpdu(inner, teid=TEID, flags=0x30, options=b"", kind=255, length=None):
    """A GTP-U message; `options` are the 4 optional octets and the extensions."""
    size = len(options) + len(inner) if length is None else length
    return struct.pack("!BBHI", flags, kind, size, teid) + options + inner


def inner(source=UE, destination=SERVER, payload=b"x" * 32):
    return raw(IP(src=source, dst=destination) / UDP(sport=1, dport=9) / Raw(payload))


def patched(packet, at, *octets):
    return packet[:at] + bytes(octets) + packet[at + len(octets):]


def extension(first, *headers):
    """Sequence, N-PDU, first extension type, then the extension headers."""
    return b"\0\0\0" + bytes([first]) + b"".join(headers)


GOOD = inner()
PSC = b"\x01\x10\x09"  # length 1, uplink container, QFI 9
CASES = {
    "good": gpdu(GOOD),
    "sequence-only": gpdu(GOOD, flags=0x32, options=b"\x12\x34\0\0"),
    "npdu-only": gpdu(GOOD, flags=0x31, options=b"\0\0\x55\0"),
    "trailing-bytes": gpdu(GOOD) + b"padding",
    "random-teid": gpdu(GOOD, teid=TEID ^ 0x00A5A5A5),
    "zero-teid": gpdu(GOOD, teid=0),
    "spoofed-v4": gpdu(inner(source="10.60.255.77")),
    "spoofed-server": gpdu(inner(source=SERVER)),
    "empty-gpdu": gpdu(b""),
    "version-0": gpdu(GOOD, flags=0x10),
    "version-2": gpdu(GOOD, flags=0x50),
    "gtp-prime": gpdu(GOOD, flags=0x20),
    "seven-bytes": gpdu(GOOD)[:7],
    "length-beyond": gpdu(GOOD, length=len(GOOD) + 1),
    "length-65535": gpdu(GOOD, length=65535),
    "options-cut": gpdu(b"", flags=0x32, options=b"\0\0"),
    "extension-length-0": gpdu(GOOD, flags=0x34, options=extension(0x85, b"\0\x10\x09\0")),
    "extension-past-end": gpdu(b"", flags=0x34, options=extension(0x85, b"\xff\x10\x09\0")),
    "extension-300": gpdu(GOOD, flags=0x34, options=extension(0x85, (PSC + b"\x85") * 300)),
    "extension-unknown-required": gpdu(
        GOOD, flags=0x34, options=extension(0xC7, b"\x01\0\0\0")
    ),
    "extension-unknown-optional": gpdu(
        GOOD, flags=0x34, options=extension(0x07, b"\x01\0\0\0")
    ),
    "inner-version-5": gpdu(patched(GOOD, 0, 0x55)),
    "inner-ihl-4": gpdu(patched(GOOD, 0, 0x44)),
    "inner-ihl-15": gpdu(patched(GOOD[:24], 0, 0x4F)),
    "inner-length-lies": gpdu(patched(GOOD, 2, 0xFF, 0xFF)),
    "inner-length-small": gpdu(patched(GOOD, 2, 0, 10)),
    "inner-one-byte": gpdu(b"\x45"),
    "inner-v6-cut": gpdu(b"\x60" + b"\0" * 20),
    "unknown-message": gpdu(b"", kind=77),
    "forged-error-indication": gpdu(
        b"", teid=0, flags=0x32, kind=26,
        options=b"\0\0\0\0" + struct.pack("!BIBH", 16, 1, 133, 4) + socket.inet_aton(UPF),
    ),
    "gtp-in-gtp": gpdu(
        raw(IP(src=UE, dst=UPF) / UDP(sport=2152, dport=2152) / Raw(gpdu(GOOD)))
    ),
    "to-upf-itself": gpdu(inner(destination=UPF)),
    "echo": gpdu(b"", teid=0, flags=0x32, kind=1, options=b"\x01\x02\0\0"),
    "garbage": None,
    "outer-fragments": None,
    "lone-fragment": None,
    "bad-udp-checksum": None,
}


def send_case(name, out):
    if name == "garbage":
        for _ in range(COPIES):
            out.sendto(random.randbytes(random.randint(0, 1400)), (UPF, 2152))
    elif name in ("outer-fragments", "lone-fragment"):
        for n in range(COPIES):
            first_id = 7000 if name == "outer-fragments" else 9000
            whole = IP(dst=UPF, id=first_id + n) / UDP(sport=2152, dport=2152, chksum=0)
            whole = whole / Raw(gpdu(inner(payload=b"y" * 1000)))
            pieces = fragment(whole, fragsize=504)
            send(pieces if name == "outer-fragments" else pieces[1])
    elif name == "bad-udp-checksum":
        bad = IP(dst=UPF) / UDP(sport=2152, dport=2152, chksum=0x1234) / Raw(CASES["good"])
        send([bad] * COPIES)
    else:
        for _ in range(COPIES):
            out.sendto(CASES[name], (UPF, 2152))


def main():
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for line in sys.stdin:
        name = line.strip()
        if name == "list":
            print(",".join(CASES), flush=True)
            continue
        send_case(name, out)
        print(f"sent {name}", flush=True)


main()
