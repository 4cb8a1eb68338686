# SPDX-License-Identifier: ISC
"""Ports that nobody else takes: not another test, of this run or of one beside it, nor the kernel for an outgoing
connection. A port is reserved by an abstract socket of its name, which ends with the process at the latest, and lies
below the range that the kernel gives to connections."""
import errno
import pathlib
import random
import socket

LOW = 10000
HIGH = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
if HIGH < LOW + 10000:  # the kernel takes nearly all
    HIGH = 60000
_held = {}


def _is_free(port):
    """On every loopback address, for TCP and UDP."""
    for family, address in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as s:
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if kind == socket.SOCK_STREAM:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind((address, port))
                except OSError as e:
                    if e.errno == errno.EADDRINUSE:
                        return False
    return True


def reserve(port):
    """Whether it is ours now."""
    if port in _held:
        return False
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0hikyaku-test-port-{port}")
    except OSError:
        mark.close()
        return False
    if not _is_free(port):
        mark.close()
        return False
    _held[port] = mark
    return True


def release(*ports):
    for port in ports:
        mark = _held.pop(port, None)
        if mark:
            mark.close()


def free_port():
    """A port for TCP and UDP, reserved until the process ends."""
    for _ in range(1000):
        port = random.randrange(LOW, HIGH)
        if reserve(port):
            return port
    raise RuntimeError("no free port")


def free_offset(ports):
    """An offset at which all of them are free, reserved until release(*[port + offset ...])."""
    for _ in range(1000):
        offset = random.randrange(LOW, HIGH - max(ports))
        ours = []
        for port in ports:
            if not reserve(port + offset):
                break
            ours.append(port + offset)
        else:
            return offset
        release(*ours)
    raise RuntimeError("no free ports")
