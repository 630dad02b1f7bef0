"""SMFs replayed as data: what each sends, in its own words, and what it needs to see.

profiles.json has for each the steps of a session. An element is [NAME, child…] when it is
grouped, [NAME, {field: value}] as scapy names them, or ["raw", type, octets]. "$smf", "$upf",
"$gnb", "$ue" and what a step has "saved" are filled in.
"""

import json
import pathlib

from scapy.contrib import pfcp as p
from scapy.layers.inet import IP, UDP
from scapy.utils import rdpcap

import ies
from cases_life import goes_down
from smf import Message, find, now_ntp, usages
from traffic import udp

# What the UPF's configuration knows by address; n4-lab.ts has the same.
OAI, SD_CORE = "192.0.2.11", "192.0.2.12"
ADDRESSES = {"oai": OAI, "sd-core": SD_CORE}
PROFILES = json.loads((pathlib.Path(__file__).parent / "profiles.json").read_text())


def filled(value, names):
    if isinstance(value, str) and value.startswith("$"):
        return names[value[1:]]
    if isinstance(value, dict):
        return {key: filled(one, names) for key, one in value.items()}
    return value


def element(spec, names):
    name, *rest = spec
    if name == "raw":
        return ies.raw(rest[0], bytes.fromhex(rest[1]))
    fields = filled(rest[0], names) if rest and isinstance(rest[0], dict) else None
    kind = getattr(p, f"IE_{name}")
    if fields is not None:
        return kind(**fields)
    return kind(IE_list=[element(one, names) for one in rest])


class Play:
    """One SMF that goes through its steps."""

    def __init__(self, lab, profile):
        self.lab, self.profile = lab, profile
        self.smf = lab.smf(ADDRESSES.get(profile), associate=False)
        self.gnb, self.host = lab.gnb(), lab.host()
        self.names = {"smf": self.smf.address, "upf": "192.0.2.1", "gnb": self.gnb.address,
                      "ue": lab.ue(), "gnbTeid": lab.teid(), "cpSeid": 0x51000 + lab.teid(),
                      "now": now_ntp(), "ownTeid": 0xF5000000 + lab.teid()}

    def step(self, step):
        kind = step["message"]
        elements = [element(one, self.names) for one in step["ies"]]
        header = {key: step[key] for key in ("seq", "priority") if key in step}
        if kind >= 50:
            header["seid"] = filled(step.get("headerSeid", "$upSeid"), self.names)
        response = self.smf.request(kind, elements, **header)
        expect = step.get("expect", {})
        said = f"{step['name']}: cause {response.cause}, offending {response.offending}"
        assert response.cause == expect.get("cause", 1), said
        if kind == 5:
            self.smf.associated = True
            assert len(bytes(response.find(43))) - 4 in expect.get("featureOctets", [2, 4, 6, 8])
        if kind == 50:
            up = response.find(57)
            self.names["upSeid"] = up.seid
            self.smf.up_seids[self.names["cpSeid"]] = up.seid
        if kind >= 50:
            assert response.seid == self.names["cpSeid"], f"{step['name']}: SEID {response.seid}"
        self.check_created(step["name"], response, expect.get("created"))
        assert len(usages(response)) == expect.get("usage", 0), usages(response)
        self.check_traffic(step["name"], expect)

    def check_created(self, name, response, expected):
        """`expected`: PDR ID to a label; one label is one F-TEID, two are two."""
        created = {str(find(one.IE_list, 56).id): find(one.IE_list, 21)
                   for one in response.every(8)}
        if expected is None:
            return
        assert created.keys() == expected.keys(), f"{name}: created {sorted(created)}"
        labels = {}
        for pdr, label in expected.items():
            tunnel = (created[pdr].TEID, created[pdr].ipv4)
            assert labels.setdefault(label, tunnel) == tunnel, f"{name}: two F-TEIDs of {label}"
            self.names[label] = tunnel[0]
        assert len(set(labels.values())) == len(labels), f"{name}: one F-TEID of two labels"

    def check_traffic(self, name, expect):
        ue, teid = self.names["ue"], self.names["gnbTeid"]
        if "held" in expect:
            self.gnb.wait(teid, expect["held"])
        if "down" in expect:
            got = goes_down(self.gnb, self.host, ue, teid, wait=2 if expect["down"] else 0.3)
            assert got == expect["down"], f"{name}: downlink {got}"
        if "up" in expect:
            packet = udp(ue, self.host.address, dport=self.host.port)
            self.gnb.send(self.names[expect.get("via", "access")], packet, expect.get("qfi", 9))
            got = bool(self.host.take(1, 2 if expect["up"] else 0.3))
            assert got == expect["up"], f"{name}: uplink {got}"
        if "reports" in expect:
            self.smf.wait_reports(expect["reports"])
            assert len(self.smf.reports) == expect["reports"], f"{name}: reports"


def play(lab, name):
    one = Play(lab, name)
    for step in PROFILES[name]["steps"]:
        one.step(step)
    assert one.smf.heartbeat(timestamp=now_ntp()).find(96) is not None


CAPTURE = pathlib.Path(__file__).parents[2] / "vectors" / "open5gs-smf-2.7.7-session.pcap"


def case_capture_of_open5gs(lab):
    """The very octets of an Open5GS SMF, with this lab's addresses, answered like its own UPF."""
    smf, gnb, host, ue = lab.smf(associate=False), lab.gnb(), lab.host(), lab.ue()
    octets = lambda text: bytes(int(part) for part in text.split("."))
    places = {"127.0.0.4": smf.address, "10.10.1.1": gnb.address, "10.45.0.2": ue}
    seids = {0x7B: None}
    frames = [(frame[IP].src, bytes(frame[UDP].payload)) for frame in rdpcap(str(CAPTURE))]
    answers = {(data[1], Message(data, None).seq): Message(data, None)
               for source, data in frames if source == "127.0.0.7"}
    for data in (data for source, data in frames if source == "127.0.0.4" and data[1] != 2):
        for old, new in places.items():
            data = data.replace(octets(old), octets(new))
        if seids[0x7B] is not None:
            data = data[:4] + data[4:12].replace((0x7B).to_bytes(8, "big"), seids[0x7B]) + data[12:]
        asked = Message(data, None)
        theirs = answers[asked.type + 1, asked.seq]
        ours = smf.exchange(data, asked.seq)
        assert (ours.type, ours.seid, ours.cause) == (theirs.type, theirs.seid, theirs.cause)
        kinds = [[one.ietype for one in m.ies] for m in (ours, theirs)]
        assert sorted(kinds[0]) == sorted(kinds[1]), f"message {asked.type}: {kinds}"
        if ours.type == 51:
            seids[0x7B] = ours.find(57).seid.to_bytes(8, "big")
            made = [[find(one.IE_list, 56).id for one in m.every(8)] for m in (ours, theirs)]
            assert made[0] == made[1], made
        if asked.type == 52 and b"\0\0\x01\0\x0a" in data:
            assert goes_down(gnb, host, ue, 0x100)
    smf.release()


def case_open5gs(lab):
    play(lab, "open5gs")


def case_free5gc(lab):
    play(lab, "free5gc")


def case_oai(lab):
    play(lab, "oai")


def case_sd_core(lab):
    play(lab, "sd-core")


def case_one_f_teid_of_all_pdrs_of_sd_core(lab):
    """It looks at the first Created PDR only; other SMFs get an F-TEID for each CHOOSE."""
    rules = [ies.up_pdr(1, 9, 1, ies.choose()), ies.up_pdr(2, 8, 1, ies.choose()), ies.up_far(1)]
    shared = lab.smf(SD_CORE).establish(rules)
    assert shared.teid(1) == shared.teid(2)
    apart = lab.smf().establish(rules)
    assert apart.teid(1) != apart.teid(2)
