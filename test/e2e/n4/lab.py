"""What a case is given: addresses, SMFs, gNBs and hosts that end with it, a look at the UPF.

Runs in the namespace of the RAN; the UPF and the data network are reached by name.
"""

import http.client
import itertools
import json
import subprocess

from smf import Smf
from traffic import Gnb, Host, Inside

UPF, UPF_V6 = "192.0.2.1", "fd00:3::1"
SERVER, SERVER_V6 = "198.51.100.2", "fd00:6::2"


class Lab:
    _addresses = itertools.count()
    _ues = itertools.count(1)
    _teids = itertools.count(0x7000)

    def __init__(self, upf_namespace, dn_namespace, api, sluice):
        self.upf_namespace, self.dn_namespace = upf_namespace, dn_namespace
        self.api, self.sluice = api, sluice
        self._opened = []
        # What one case leaves to the next, across a restart of the UPF.
        self.kept = {}

    def open(self, thing):
        self._opened.append(thing)
        return thing

    def end(self):
        """Ends everything that the case opened; sessions go with their associations."""
        opened, self._opened = self._opened, []
        failed = []
        for one in reversed(opened):
            try:
                if isinstance(one, Smf) and not one.trouble and getattr(one, "associated", False):
                    one.release()
                one.close()
            except (AssertionError, OSError) as error:
                failed.append(str(error))
        assert failed == [], failed

    def address(self, v6=False, text=None):
        """An address of this namespace that no other case uses, or the one that is given."""
        if text is None:
            n = next(Lab._addresses)
            text = f"fd00:3::{n:x}" if v6 else f"192.0.2.{n % 230 + 16}"
        more = ["/64", "nodad"] if v6 else ["/24"]
        command = ["ip", "address", "replace", text + more[0], "dev", "n3", *more[1:]]
        subprocess.run(command, check=True)
        return text

    def smf(self, address=None, associate=True, v6=False, **how):
        smf = self.open(Smf(self.address(v6, address), UPF_V6 if v6 else UPF, **how))
        if associate:
            smf.associate()
            smf.associated = True
        return smf

    def gnb(self, address=None, v6=False):
        return self.open(Gnb(self.address(v6, address), UPF_V6 if v6 else UPF))

    def host(self, address=SERVER, port=0):
        return self.open(Host(self.dn_namespace, address, port))

    def ue(self):
        """An IPv4 address that no other case uses."""
        n = next(Lab._ues)
        return f"10.60.{128 + n // 250}.{n % 250 + 2}"

    def teid(self):
        return next(Lab._teids)

    def metric(self, name, **labels):
        """Sum of a metric of /metrics over the series that have these labels."""
        with Inside(self.upf_namespace):
            connection = http.client.HTTPConnection("127.0.0.1", 9090, timeout=5)
            connection.connect()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        total = None
        for line in text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.split("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total = (total or 0) + float(value)
        return total

    def dropped(self, reason):
        return self.metric("sluice_packets_dropped_total", reason=reason) or 0

    def cli(self, *args):
        """What a command of the product says as JSON."""
        command = [self.sluice, "--api", self.api, *args, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return json.loads(done.stdout)

    def in_dn(self, *command):
        return subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.dn_namespace}", *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )


