# SPDX-License-Identifier: ISC
"""A real name server (nsd) on loopback, with a signed root of its own and the zones a test wants.

    with DnsServer({"signed.test": "mx A 192.0.2.1\n@ MX 10 mx"}) as dns:
        hk = make_instance(config=dns.settings()).start()

Zones are signed (ldns-signzone, ECDSA P-256) unless named in `insecure`; the chain of trust goes from `dns.anchor` over
the root to each of them. Zones in `bogus` are signed, but the parent has the digest of another key. nsec3: zone -> iterations. A zone's text is in
the syntax of a zone file, relative to the zone; SOA, NS and the address of the name server come by themselves.
`update()` changes zones and starts the server again on the same port (dnsd may have the old answers in its cache)."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from ports import free_port

ALGORITHM = "ECDSAP256SHA256"


def tool(*args, cwd):
    done = subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


class DnsServer:
    def __init__(self, zones, insecure=(), bogus=(), ttl=60, nsec3=None):
        self.zones = dict(zones)
        self.insecure, self.bogus, self.ttl = set(insecure), set(bogus), ttl
        self.port = free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hk-dns-"))
        self.dir.chmod(0o755)
        self.nsec3 = nsec3 or {}
        self.keys, self.process = {}, None

    # ---- what others need ----

    @property
    def address(self):
        return f"127.0.0.1@{self.port}"

    @property
    def anchor(self):
        return str(self.dir / "anchor")

    def settings(self, **more):
        return {"resolver": self.address, "dns_trust_anchor": self.anchor, **more}

    # ---- zones ----

    def parent(self, zone):
        """The longest zone that zone lies in; "" is the root."""
        return max((z for z in self.zones if z != zone and zone.endswith("." + z)), key=len, default="")

    def key(self, zone, again=False):
        if zone not in self.keys or again:
            name = tool("ldns-keygen", "-a", ALGORITHM, "-k", zone or ".", cwd=self.dir).strip()
            if again:
                return name
            self.keys[zone] = name
        return self.keys[zone]

    def ds(self, zone):
        name = self.key(zone, again=zone in self.bogus)
        return tool("ldns-key2ds", "-n", "-2", f"{name}.key", cwd=self.dir).strip()

    def text(self, zone):
        dot = f"{zone}." if zone else "."
        lines = [f"$ORIGIN {dot}", f"$TTL {self.ttl}",
                 f"@ IN SOA ns-of-zone.{zone}. hostmaster.{zone}. {int(time.time())} 3600 600 86400 {self.ttl}"
                 .replace("..", "."),
                 "@ IN NS ns-of-zone", "ns-of-zone IN A 127.0.0.1", self.zones.get(zone, "")]
        for child in self.zones:
            if self.parent(child) == zone:
                lines += [f"{child}. IN NS ns-of-zone.{child}.", f"ns-of-zone.{child}. IN A 127.0.0.1"]
                if child not in self.insecure:
                    lines.append(self.ds(child))
        return "\n".join(lines) + "\n"

    def write_zone(self, zone):
        """The file nsd loads."""
        name = zone or "root"
        (self.dir / f"{name}.zone").write_text(self.text(zone))
        if zone in self.insecure:
            return f"{name}.zone"
        how = ["-n", "-s", "ab", "-t", str(self.nsec3[zone])] if zone in self.nsec3 else []
        tool("ldns-signzone", *how, f"{name}.zone", self.key(zone), cwd=self.dir)
        return f"{name}.zone.signed"

    def write(self):
        conf = ["server:", f"  ip-address: 127.0.0.1@{self.port}", "  do-ip6: no", '  username: ""',
                f'  zonesdir: "{self.dir}"', f'  pidfile: "{self.dir}/nsd.pid"', f'  logfile: "{self.dir}/nsd.log"',
                '  database: ""', f'  xfrdfile: "{self.dir}/xfrd.state"', f'  xfrdir: "{self.dir}"',
                f'  zonelistfile: "{self.dir}/zone.list"', "  server-count: 1", "  rrl-ratelimit: 0",
                "  rrl-whitelist-ratelimit: 0", "  minimal-responses: yes", "remote-control:", "  control-enable: no"]
        for zone in sorted([*self.zones, ""], key=lambda z: -z.count(".") - bool(z)):
            conf += ["zone:", f'  name: "{zone or "."}"', f'  zonefile: "{self.write_zone(zone)}"']
        (self.dir / "nsd.conf").write_text("\n".join(conf) + "\n")
        shutil.copy(self.dir / f"{self.key('')}.key", self.anchor)
        pathlib.Path(self.anchor).chmod(0o644)

    # ---- life ----

    def start(self):
        self.write()
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(self.dir / "nsd.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise AssertionError("nsd does not start: " + (self.dir / "nsd.log").read_text())

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def update(self, zones):
        self.stop()
        self.zones.update(zones)
        return self.start()

    def __enter__(self):
        return self.start()

    def destroy(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __exit__(self, *_):
        self.destroy()
