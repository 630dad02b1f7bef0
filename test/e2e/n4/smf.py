"""An SMF that speaks PFCP through scapy: sends what it is told, notes everything that comes.

One thread receives: it answers heartbeats and Session Reports as a case says, and hands responses
to whoever waits for their sequence number.
"""

import itertools
import os
import queue
import socket
import threading
import time

from scapy.contrib import pfcp as p
from scapy.packet import Raw

import ies

PORT = 8805
NTP_EPOCH = 2208988800
MESSAGES = {
    1: p.PFCPHeartbeatRequest, 2: p.PFCPHeartbeatResponse, 3: p.PFCPPFDManagementRequest,
    5: p.PFCPAssociationSetupRequest, 7: p.PFCPAssociationUpdateRequest,
    8: p.PFCPAssociationUpdateResponse, 9: p.PFCPAssociationReleaseRequest,
    12: p.PFCPNodeReportRequest, 13: p.PFCPNodeReportResponse,
    14: p.PFCPSessionSetDeletionRequest, 50: p.PFCPSessionEstablishmentRequest,
    52: p.PFCPSessionModificationRequest, 54: p.PFCPSessionDeletionRequest,
    56: p.PFCPSessionReportRequest, 57: p.PFCPSessionReportResponse,
}
WITH_SEID = range(50, 100)


def now_ntp():
    return (int(time.time()) + NTP_EPOCH) & 0xFFFFFFFF


def find(elements, kind):
    """First element of a type (a number), or None."""
    return next((one for one in elements if one.ietype == kind), None)


def every(elements, kind):
    return [one for one in elements if one.ietype == kind]


class Message:
    """A received message: `type`, `seid`, `seq`, its elements, and the octets that came."""

    def __init__(self, data, source):
        self.data, self.source, self.at = data, source, time.monotonic()
        packet = p.PFCP(data)
        self.type, self.seq = packet.message_type, packet.seq
        self.seid = packet.seid if packet.S else None
        body = packet.payload
        self.ies = getattr(body, "IE_list", None) or []
        assert not isinstance(body, Raw), f"scapy knows no message {self.type}: {data.hex()}"

    def find(self, kind):
        return find(self.ies, kind)

    def every(self, kind):
        return every(self.ies, kind)

    @property
    def cause(self):
        one = self.find(19)
        return one and one.cause

    @property
    def offending(self):
        one = self.find(40)
        return one and one.type

    @property
    def failed_rule(self):
        """(rule type, rule ID), or None."""
        one = self.find(114)
        if one is None:
            return None
        names = ("pdr_id", "far_id", "qer_id", "urr_id", "bar_id")
        return one.type, getattr(one, names[one.type])


class Session:
    def __init__(self, smf, cp_seid, response):
        self.smf, self.cp_seid, self.response = smf, cp_seid, response
        up = response.find(57)
        self.up_seid = up.seid if up is not None else None
        self.created = {}
        self.note_created(response)

    def note_created(self, response):
        for one in response.every(8):
            self.created[find(one.IE_list, 56).id] = one.IE_list

    def teid(self, pdr):
        """TEID and IPv4 address that the UPF chose for a PDR."""
        chosen = find(self.created[pdr], 21)
        return chosen.TEID, chosen.ipv4

    def modify(self, elements, cause=1, **how):
        response = self.smf.request(52, elements, seid=self.up_seid, **how)
        assert response.cause == cause, f"modification: cause {response.cause}, not {cause}"
        assert response.seid == self.cp_seid, f"modification: SEID {response.seid:#x}"
        self.note_created(response)
        return response

    def delete(self, cause=1):
        response = self.smf.request(54, [], seid=self.up_seid)
        assert response.cause == cause, f"deletion: cause {response.cause}, not {cause}"
        return response

    def reports(self):
        return [one for one in self.smf.reports if one.seid == self.cp_seid]


class Smf:
    _seids = itertools.count(0x1000)

    def __init__(self, address, upf, node=None, port=PORT):
        self.address, self.upf, self.node = address, upf, node or address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((address, port))
        self.started = now_ntp()
        self.heartbeats_asked, self.reports, self.node_reports, self.others = 0, [], [], []
        self.answer_heartbeats = True
        # Where a load takes its responses undecoded.
        self.raw_sink = None
        # (report message) -> cause, (cause, elements) or None for no answer.
        self.answer_report = lambda report: 1
        self._sequence = itertools.count(int.from_bytes(os.urandom(2), "big") + 1)
        self._waiting, self._lock = {}, threading.Lock()
        self.up_seids = {}
        self._open = True
        self.trouble = []
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    # Sending.

    def message(self, kind, elements, seid=None, seq=None, priority=None):
        """The octets of a message, and its sequence number."""
        seq = next(self._sequence) if seq is None else seq
        header = p.PFCP(S=0, seq=seq)
        if seid is not None or kind in WITH_SEID:
            header = p.PFCP(S=1, seid=seid or 0, seq=seq)
        if priority is not None:
            header.MP, header.priority = 1, priority
        return bytes(header / MESSAGES[kind](IE_list=list(elements))), seq

    def send(self, data):
        self.socket.sendto(data, (self.upf, PORT))

    def exchange(self, data, seq, timeout=3.0, tries=1):
        """Sends octets and waits for the response of that sequence number; None: there is none."""
        waiting = queue.Queue()
        with self._lock:
            self._waiting[seq] = data[1] + 1, waiting
        try:
            for _ in range(tries):
                self.send(data)
                try:
                    return waiting.get(timeout=timeout)
                except queue.Empty:
                    continue
            return None
        finally:
            with self._lock:
                del self._waiting[seq]

    def request(self, kind, elements, timeout=3.0, tries=1, **header):
        data, seq = self.message(kind, elements, **header)
        response = self.exchange(data, seq, timeout, tries)
        assert response is not None, f"no response to message {kind}, sequence {seq}"
        expected = 11 if response.type == 11 else kind + 1
        assert response.type == expected, f"message {kind} answered by {response.type}"
        assert response.source[:2] == (self.upf, PORT), f"answered from {response.source}"
        return response

    # Receiving.

    def _receive(self):
        while self._open:
            try:
                data, source = self.socket.recvfrom(65535)
                if not self._open:
                    return
                if self.raw_sink is not None and data[1] > 13:
                    self.raw_sink.append(data)
                else:
                    self._take(Message(data, source))
            except OSError:
                return
            except Exception as error:  # a thread's exception would be lost otherwise
                self.trouble.append(f"{type(error).__name__}: {error}")

    def _take(self, message):
        if message.type == 1:
            self.heartbeats_asked += 1
            if self.answer_heartbeats:
                self.reply(message, 2, [p.IE_RecoveryTimeStamp(timestamp=self.started)])
        elif message.type == 12:
            self.node_reports.append(message)
            self.reply(message, 13, [ies.node_id(self.node), p.IE_Cause(cause=1)])
        elif message.type == 56:
            self.reports.append(message)
            answer = self.answer_report(message)
            if answer is not None:
                cause, more = answer if isinstance(answer, tuple) else (answer, [])
                seid = self.up_seids.get(message.seid, 0)
                self.reply(message, 57, [p.IE_Cause(cause=cause), *more], seid=seid)
        else:
            with self._lock:
                kind, waiting = self._waiting.get(message.seq, (None, None))
            if message.type in (kind, 11) and waiting is not None:
                waiting.put(message)
            else:
                self.others.append(message)

    def reply(self, message, kind, elements, seid=None):
        data, _ = self.message(kind, elements, seid=seid, seq=message.seq)
        self.socket.sendto(data, message.source)

    # What SMFs do.

    def associate(self, features=None, cause=1, **header):
        elements = [ies.node_id(self.node), p.IE_RecoveryTimeStamp(timestamp=self.started)]
        if features is not None:
            elements.append(ies.raw(89, features))
        response = self.request(5, elements, **header)
        assert response.cause == cause, f"association: cause {response.cause}, not {cause}"
        return response

    def heartbeat(self, timestamp=None, timeout=1.0, tries=1):
        elements = [p.IE_RecoveryTimeStamp(timestamp=timestamp or self.started)]
        return self.request(1, elements, timeout=timeout, tries=tries)

    def head(self, cp_seid):
        return [ies.node_id(self.node), ies.f_seid(cp_seid, self.address)]

    def establish(self, elements, cause=1, cp_seid=None, header_seid=0, more=None, **how):
        cp_seid = next(Smf._seids) if cp_seid is None else cp_seid
        more = [p.IE_PDNType(pdn_type=1)] if more is None else more
        request = [*self.head(cp_seid), *elements, *more]
        response = self.request(50, request, seid=header_seid, **how)
        said = f"{response.cause}, offending {response.offending}, rule {response.failed_rule}"
        assert response.cause == cause, f"establishment: cause {said}, not {cause}"
        assert response.seid == cp_seid, f"establishment: SEID {response.seid}, not {cp_seid}"
        session = Session(self, cp_seid, response)
        if session.up_seid:
            self.up_seids[cp_seid] = session.up_seid
        return session

    def release(self):
        """With many sessions it takes a while; the request is repeated as SMFs do."""
        return self.request(9, [ies.node_id(self.node)], tries=6)

    def wait_reports(self, count, timeout=5.0, session=None):
        """Waits until so many reports came; returns all that are there then."""
        def have():
            return self.reports if session is None else session.reports()

        deadline = time.monotonic() + timeout
        while len(have()) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(have()) >= count, f"{len(have())} reports, not {count}"
        return list(have())

    def close(self):
        self._open = False
        try:
            self.socket.shutdown(socket.SHUT_RD)  # wakes the thread, which has the socket open
        except OSError:
            pass
        self._thread.join(2)
        self.socket.close()
        assert self.trouble == [], self.trouble


class Usage:
    """One usage report of a message, as numbers."""

    NAMES = ("PERIO VOLTH TIMTH QUHTI START STOPT DROTH IMMER VOLQU TIMQU LIUSA TERMR MONIT ENVCL "
             "MACAR EVETH EVEQU TEBUR IPMJL QUVTI REEMR UPINT").split()

    def __init__(self, element):
        parts = element.IE_list
        self.urr, self.number = find(parts, 81).id, find(parts, 104).number
        octets = bytes(find(parts, 63))[4:]
        bits = int.from_bytes(octets[:3].ljust(3, b"\0"), "little")
        self.triggers = {name for n, name in enumerate(self.NAMES) if bits >> n & 1}
        self.parts = {one.ietype for one in parts}
        volume = find(parts, 66)
        self.total, self.up, self.down = (
            getattr(volume, name) if volume is not None and getattr(volume, flag) else None
            for name, flag in (("total", "TOVOL"), ("uplink", "ULVOL"), ("downlink", "DLVOL"))
        )
        self.duration = getattr(find(parts, 67), "duration", None)
        self.start = getattr(find(parts, 75), "timestamp", None)
        self.end = getattr(find(parts, 76), "timestamp", None)
        missing = {81, 104, 63, 66, 67, 75, 76} - self.parts
        assert not missing, f"a usage report without {missing}"

    def __repr__(self):
        return f"URR {self.urr} #{self.number} {sorted(self.triggers)} {self.up}+{self.down}"


def usages(message):
    return [Usage(one) for kind in (78, 79, 80) for one in message.every(kind)]
