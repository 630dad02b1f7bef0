"""Both ends of the packets: gNBs that speak GTP-U, hosts of the data network, kernels as UEs.

GTP-U is coded by hand here and nowhere else, from TS 29.281, apart from the product's own codec.
"""

import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

SO_RCVBUFFORCE = 33
GPDU, END_MARKER, ERROR_INDICATION = 255, 254, 26
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Inside:
    """Within it, this thread's sockets belong to another network namespace."""

    def __init__(self, namespace):
        self.namespace = namespace

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY)
        self._set(there)
        os.close(there)

    def __exit__(self, *_):
        self._set(self.home)
        os.close(self.home)

    @staticmethod
    def _set(descriptor):
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Gpdu:
    """One received GTP-U message."""

    def __init__(self, data, source):
        self.source, self.at = source, time.monotonic()
        self.flags, self.type, length, self.teid = struct.unpack("!BBHI", data[:8])
        assert length == len(data) - 8, f"GTP-U length {length} of {len(data) - 8} octets"
        self.qfi = self.rqi = self.ppi = self.container = None
        at = 8
        if self.flags & 7:
            kind, at = data[11] if self.flags & 4 else 0, 12
            while kind != 0:
                octets = data[at + 1:at + data[at] * 4 - 1]
                if kind == 0x85:
                    self._read_container(octets)
                kind, at = data[at + data[at] * 4 - 1], at + data[at] * 4
        self.payload = data[at:]

    def _read_container(self, octets):
        self.container, self.qfi = octets[0] >> 4, octets[1] & 0x3F
        self.rqi = octets[1] >> 6 & 1
        if octets[1] & 0x80:
            self.ppi = octets[2] >> 5

    @property
    def inner(self):
        return IPv6(self.payload) if self.payload[0] >> 4 == 6 else IP(self.payload)

    @property
    def number(self):
        """The number that Host.send_numbers put first in its datagram."""
        head = 48 if self.payload[0] >> 4 == 6 else 28
        return struct.unpack("!I", self.payload[head:head + 4])[0]


def gpdu(teid, inner, qfi=9, container=1):
    """A G-PDU with a PDU Session Container; None for `qfi`: without."""
    if qfi is None:
        return struct.pack("!BBHI", 0x30, GPDU, len(inner), teid) + inner
    options = struct.pack("!HBBBBBB", 0, 0, 0x85, 1, container << 4, qfi, 0)
    return struct.pack("!BBHI", 0x34, GPDU, len(inner) + 8, teid) + options + inner


def udp(source, target, payload=b"x" * 32, sport=1000, dport=9):
    layer = IPv6 if ":" in source else IP
    return bytes(layer(src=source, dst=target) / UDP(sport=sport, dport=dport) / Raw(payload))


def udp_of_size(source, target, size, **ports):
    """A datagram of so many octets as an IP packet."""
    head = 48 if ":" in source else 28
    return udp(source, target, b"\xa5" * (size - head), **ports)


def ping(source, target, number=1, data=b"ping"):
    if ":" in source:
        return bytes(IPv6(src=source, dst=target) / ICMPv6EchoRequest(seq=number, data=data))
    return bytes(IP(src=source, dst=target) / ICMP(seq=number) / Raw(data))


class Gnb:
    """An access node at one address, port 2152."""

    def __init__(self, address, upf, port=2152):
        self.address, self.upf = address, upf
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.socket.bind((address, port))
        self.received, self.trouble, self._open = [], [], True
        self.answers_echo = True
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self):
        while self._open:
            try:
                data, source = self.socket.recvfrom(65535)
                if not self._open:
                    return
                if data[1] == 1 and not self.answers_echo:
                    continue
                if data[1] == 1:  # Echo Request
                    answer = struct.pack("!BBHI", 0x32, 2, 6, 0) + data[8:10] + b"\0\0\x0e\0"
                    self.socket.sendto(answer, source)
                else:
                    self.received.append(Gpdu(data, source))
            except OSError:
                return
            except Exception as error:
                self.trouble.append(f"{type(error).__name__}: {error}")

    def send(self, teid, inner, qfi=9, upf=None):
        self.socket.sendto(gpdu(teid, inner, qfi), (upf or self.upf, 2152))

    def send_bytes(self, data):
        self.socket.sendto(data, (self.upf, 2152))

    def of(self, teid, kind=GPDU):
        return [one for one in self.received if one.teid == teid and one.type == kind]

    def wait(self, teid, count, kind=GPDU, timeout=5.0):
        deadline = time.monotonic() + timeout
        while len(self.of(teid, kind)) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        found = self.of(teid, kind)
        assert len(found) >= count, f"{len(found)} of {count} packets at TEID {teid:#x}"
        return found

    def close(self):
        self._open = False
        try:
            self.socket.shutdown(socket.SHUT_RD)  # wakes the thread, which has the socket open
        except OSError:
            pass
        self._thread.join(2)
        self.socket.close()
        assert self.trouble == [], self.trouble


class Host:
    """A UDP socket in the data network; `port` is what UEs send to."""

    def __init__(self, namespace, address, port=0):
        with Inside(namespace):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.socket.bind((address, port))
        self.address, self.port = address, self.socket.getsockname()[1]

    def send(self, ue, payload=b"y" * 32, port=4000):
        self.socket.sendto(payload, (ue, port))

    def send_size(self, ue, size, count=1):
        """Datagrams of `size` octets each as IP packets."""
        payload = b"\x5a" * (size - (48 if ":" in ue else 28))
        for _ in range(count):
            self.send(ue, payload)

    def send_numbers(self, ue, first, count, pause=0.0):
        for n in range(first, first + count):
            self.socket.sendto(struct.pack("!I", n) + b"n" * 28, (ue, 4000))
            if pause:
                time.sleep(pause)

    def take(self, count, timeout=3.0):
        """Waits for so many datagrams; returns (payload, source) of each that came."""
        found, deadline = [], time.monotonic() + timeout
        while len(found) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                break
            found.append(self.socket.recvfrom(65535))
        return found

    def silent(self, seconds=0.3):
        found = self.take(1, seconds)
        assert found == [], f"{found[0][1]} got through"

    def close(self):
        self.socket.close()


class KernelUe:
    """A TUN device that is the UE's: what programs send over it goes through the tunnel."""

    TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000

    def __init__(self, gnb, name, address, up_teid, down_teid, routes):
        self.gnb, self.up, self.down, self.name = gnb, up_teid, down_teid, name
        self.device = os.open("/dev/net/tun", os.O_RDWR)
        mode = struct.pack("16sH", name.encode(), self.IFF_TUN | self.IFF_NO_PI)
        fcntl.ioctl(self.device, self.TUNSETIFF, mode)
        for command in (f"address add {address}/32 dev {name}", f"link set {name} mtu 1400 up",
                        *(f"route add {route} dev {name} src {address}" for route in routes)):
            subprocess.run(["ip", *command.split()], check=True)
        self._at, self._open = len(gnb.received), True
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._out, self._in)]
        for thread in self._threads:
            thread.start()

    def _out(self):
        while self._open:
            if select.select([self.device], [], [], 0.2)[0]:
                packet = os.read(self.device, 65535)
                if packet[0] >> 4 == 4:
                    self.gnb.send(self.up, packet)

    def _in(self):
        while self._open:
            received = self.gnb.received
            if self._at == len(received):
                time.sleep(0.0005)
                continue
            one, self._at = received[self._at], self._at + 1
            if one.teid == self.down and one.type == GPDU:
                os.write(self.device, one.payload)

    def close(self):
        self._open = False
        for thread in self._threads:
            thread.join()
        os.close(self.device)
