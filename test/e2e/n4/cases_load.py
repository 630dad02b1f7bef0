"""Many messages: a flood of one peer beside another, many sessions over a network with losses."""

import random
import threading
import time

import ies
from cases_life import goes_down
from cases_parsing import plain
from smf import PORT

MARK = (0xA1B2C3D4E5F60718).to_bytes(8, "big")


def template(smf, kind, elements, seid=0):
    data, _ = smf.message(kind, elements, seid=seid)
    return data


def with_seq(data, seq):
    return data[:12] + seq.to_bytes(3, "big") + data[15:]


def flood(smf, seconds, rate, kinds):
    """So many messages a second, the kinds in turn; nobody reads the answers."""
    start, sent, seq = time.monotonic(), 0, 1
    while (now := time.monotonic()) - start < seconds:
        time.sleep(0.0005)
        while sent < (now - start) * rate:
            # The same CP F-SEIDs again after a while: it must not take all of the node's sessions.
            seid = (0x9000000 + sent % 30_000).to_bytes(8, "big")
            data = kinds[sent % len(kinds)].replace(MARK, seid)
            smf.socket.sendto(with_seq(data, seq), (smf.upf, PORT))
            seq, sent = (seq + 1) & 0xFFFFFF or 1, sent + 1
    return sent


def case_flood_of_one_peer_delays_no_other(lab, seconds="3", rate="20000"):
    """Heartbeats of B are answered within a second, and so are its sessions."""
    loud, calm, gnb, host = lab.smf(), lab.smf(), lab.gnb(), lab.host()
    ue, teid = lab.ue(), lab.teid()
    body = [ies.up_pdr(1, 1, 1, ies.choose()), ies.up_far(1)]
    kinds = [template(loud, 50, [*loud.head(int.from_bytes(MARK, "big")), *body]),
             template(loud, 52, [ies.update_far(1, ies.DROP)], seid=0x1234),
             template(loud, 54, [], seid=0x4321)]
    sent, slowest = [], 0.0
    loud.raw_sink = []  # scapy would be too slow for what comes back
    flooding = threading.Thread(
        target=lambda: sent.append(flood(loud, float(seconds), float(rate), kinds)))
    flooding.start()
    while flooding.is_alive():
        start = time.monotonic()
        calm.heartbeat(timeout=1.0)
        slowest = max(slowest, time.monotonic() - start)
    session = calm.establish(ies.session_rules(ue, gnb.address, teid), tries=3)
    assert goes_down(gnb, host, ue, teid)
    session.delete()
    assert sent[0] > 5000 * float(seconds), f"only {sent[0]} messages were sent"
    # The loud one is served too, now that it is quiet.
    loud.heartbeat(tries=3)
    return {"sent": sent[0], "slowest": slowest}


class Sender:
    """Requests in a window, retransmitted until they are answered, over a network that loses."""

    seq = 0x200000

    def __init__(self, smf, loss, rate, seed=20261126):
        self.smf, self.loss, self.rate = smf, loss, rate
        self.dice, self.lost, self.again = random.Random(seed), 0, 0

    def run(self, requests):
        """`requests`: messages by key; returns the answer of each as octets."""
        self.smf.raw_sink = []
        waiting, answers, said, queue = {}, {}, {}, iter(requests)
        start, begun, more = time.monotonic(), 0, True
        while more or waiting:
            now = time.monotonic()
            while more and len(waiting) < 2000 and begun < (now - start) * self.rate:
                one = next(queue, None)
                if one is None:
                    more = False
                    break
                # Never one again: the UPF would take the message for an old one.
                Sender.seq += 1
                begun += 1
                waiting[Sender.seq] = [one[0], with_seq(one[1], Sender.seq), now + 0.5]
                self.lossy(waiting[Sender.seq][1])
            taken, self.smf.raw_sink = self.smf.raw_sink, []
            for data in taken:
                if self.dice.random() < self.loss:
                    self.lost += 1
                    continue
                seq = int.from_bytes(data[12:15], "big")
                known = waiting.pop(seq, None)
                if known is not None:
                    answers[known[0]] = data
                # However often it is asked, the answer is the same to the octet.
                first = said.setdefault(seq, data)
                assert first == data, f"{first.hex()}, and then {data.hex()}"
            for entry in waiting.values():
                if entry[2] < now:
                    self.again += 1
                    entry[2] = now + 0.5
                    self.lossy(entry[1])
            assert now - start < 600, f"{len(waiting)} requests are never answered"
            time.sleep(0.001)
        return answers

    def lossy(self, data):
        if self.dice.random() < self.loss:
            self.lost += 1
        else:
            self.smf.send(data)


def memory(lab):
    return lab.metric("process_resident_memory_bytes")


def cycle(lab, smf, count, loss, rate):
    """Makes and deletes so many sessions; every request is answered with success in the end."""
    before = lab.metric("sluice_sessions")
    head = smf.head(int.from_bytes(MARK, "big"))
    whole = template(smf, 50, [*head, *plain("10.60.0.1")])
    address = bytes([10, 60, 0, 1])
    requests = ((n, whole.replace(MARK, (0x9000000 + n).to_bytes(8, "big")).replace(
        address, bytes([10, 62 + (n >> 16), n >> 8 & 255, n & 255]))) for n in range(count))
    sender = Sender(smf, loss, rate)
    start = time.monotonic()
    answers = sender.run(requests)
    took = time.monotonic() - start
    seids = {}
    for n, data in answers.items():
        assert data[1] == 51 and b"\0\x13\0\x01\x01" in data, f"session {n}: {data.hex()}"
        at = data.index(b"\0\x39\0", 16) + 5
        seids[n] = data[at:at + 8]
    assert len(set(seids.values())) == count
    there = lab.metric("sluice_sessions") - before
    assert there == count, f"{there} sessions more, not {count}"
    full = memory(lab)
    plain_deletion = template(smf, 54, [], seid=int.from_bytes(MARK, "big"))
    answers = sender.run((n, plain_deletion.replace(MARK, seid)) for n, seid in seids.items())
    bad = [data.hex() for data in answers.values() if b"\0\x13\0\x01\x01" not in data]
    assert bad == [], bad[:3]
    there = lab.metric("sluice_sessions") - before
    assert there == 0, f"{there} sessions are left"
    smf.raw_sink = None
    return {"rate": count / took, "lost": sender.lost, "again": sender.again, "full": full}


def case_many_sessions_over_a_lossy_network(lab, count="3000", rate="2000", rounds="2"):
    """Made and deleted again and again: what they took is given back."""
    smf = lab.smf()
    count, rate = int(count), float(rate)
    cycle(lab, smf, count, 0.05, rate)  # what the first take stays: pools, tables, code
    records, base = lab.metric("sluice_session_records_bytes"), memory(lab)
    done = []
    for _ in range(int(rounds)):
        done.append(cycle(lab, smf, count, 0.05, rate))
    assert lab.metric("sluice_session_records_bytes") == records
    grown = memory(lab) - base
    assert done[-1]["lost"] > count * 0.05, "the network lost nothing"
    # A session costs at least 500 bytes: had a tenth of a round stayed, it would show in these.
    assert grown < max(32 << 20, 100 * count), f"{grown} bytes more after {rounds} rounds"
    return {"grown": grown, **done[-1]}
