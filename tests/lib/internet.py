# SPDX-License-Identifier: LGPL-2.1-or-later
"""An internet of one host: a network namespace behind a link, with addresses that are public and addresses that are not,
where a web server answers at each; and one on this machine, at its own addresses."""

import os
import pathlib
import subprocess
import tempfile

import suite

NAMESPACE = "internet"
PUBLIC, PRIVATE = "203.0.113.10", "10.9.9.9"
OWN, NEIGHBOUR = "198.51.100.1", "198.51.100.7"  # public by themselves; of the host, and in its network
METADATA, SHARED = "169.254.169.254", "100.100.100.200"
ADDRESSES = (PUBLIC, PRIVATE, METADATA, SHARED, NEIGHBOUR)
PORTS = (80, 443, 8080)
HOSTS = pathlib.Path("/etc/hosts")


class Internet:
    """Up until stop(); `names` are further names of addresses, which /etc/hosts knows meanwhile."""

    def __init__(self, **names):
        self.folder = tempfile.TemporaryDirectory()
        pathlib.Path(self.folder.name, "hello").write_text("hello from the internet\n")
        pathlib.Path(self.folder.name, "large").write_bytes(os.urandom(3 << 20))
        self.hosts = HOSTS.read_text()
        self.servers = []
        suite.run("ip", "netns", "add", NAMESPACE)
        suite.run("ip", "link", "add", "name", "out", "type", "veth", "peer", "name", "in", "netns", NAMESPACE)
        suite.run("ip", "address", "add", f"{OWN}/24", "dev", "out")
        suite.run("ip", "link", "set", "out", "up")
        for address in ADDRESSES:
            suite.run("ip", "-n", NAMESPACE, "address", "add", f"{address}/24", "dev", "in")
            if address != NEIGHBOUR:
                suite.run("ip", "route", "add", f"{address}/32", "dev", "out")
        suite.run("ip", "-n", NAMESPACE, "link", "set", "in", "up")
        with HOSTS.open("a") as f:
            f.writelines(f"{address} {name}.example.org\n" for name, address in names.items())
        for where in (["ip", "netns", "exec", NAMESPACE], []):
            for port in PORTS:
                self.servers.append(subprocess.Popen(
                    [*where, "python3", "-m", "http.server", "--directory", self.folder.name, str(port)],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for address in (*ADDRESSES, OWN):
            for port in PORTS:
                suite.wait_for_port(port, address)

    def stop(self):
        for server in self.servers:
            server.kill()
            server.wait()
        HOSTS.write_text(self.hosts)
        suite.run("ip", "link", "delete", "out")
        suite.run("ip", "netns", "delete", NAMESPACE)
        self.folder.cleanup()
