"""Ways out over sockets."""

import os
import socket
import struct

from tools import Facts, connect, reached, read, talk


def tcp_to_the_hosts_loopback(facts: Facts) -> str | None:
    """A server on 127.0.0.1 of the host."""
    return reached(lambda: connect(socket.AF_INET, ("127.0.0.1", facts["tcp"])))


def tcp_to_the_hosts_own_address(facts: Facts) -> str | None:
    """The same server at the address that the host has in its network."""
    return reached(lambda: connect(socket.AF_INET, (facts["address"], facts["tcp_any"])))


def tcp_to_every_loopback_address(facts: Facts) -> str | None:
    """127.0.0.0/8 is larger than one address."""
    for address in ("127.0.0.2", "127.1.1.1", "127.255.255.254", "0.0.0.0", "localhost"):
        found = reached(lambda a=address: connect(socket.AF_INET, (a, facts["tcp_any"])), address)
        if found:
            return found
    return None


def ipv6_to_the_hosts_loopback(facts: Facts) -> str | None:
    """A server on ::1 of the host."""
    return reached(lambda: connect(socket.AF_INET6, ("::1", facts["tcp6"])))


def ipv4_inside_ipv6(facts: Facts) -> str | None:
    """The IPv4 server, addressed as IPv6."""
    return reached(lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", facts["tcp"])))


def udp_to_the_hosts_loopback(facts: Facts) -> str | None:
    """A datagram to a server that answers every datagram."""

    def ask() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.5)
            sender.sendto(b"hello", ("127.0.0.1", facts["udp"]))
            return sender.recv(100)

    return reached(ask)


def the_internet(facts: Facts) -> str | None:
    """An address outside; TEST-NET-1 is routed nowhere, but a machine with a network would try."""
    try:
        connect(socket.AF_INET, ("192.0.2.1", 80))
    except TimeoutError:
        return "a packet was sent into the network"
    except OSError:
        return None
    return "connected"


def name_resolution(facts: Facts) -> str | None:
    """Data in a name that a name server would be asked to resolve."""
    return reached(lambda: socket.getaddrinfo("secret.example.com", 80))


def a_name_server(facts: Facts) -> str | None:
    """The resolver's usual local addresses, over UDP and TCP."""
    query = struct.pack(">6H", 1, 256, 1, 0, 0, 0) + b"\x07example\x03com\0\0\1\0\1"
    for address in ("127.0.0.53", "127.0.0.1", "1.1.1.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.2)
            found = reached(lambda a=address, s=sender: s.sendto(query, (a, 53)) and s.recv(100))
        if found:
            return found
    return None


def the_metadata_address(facts: Facts) -> str | None:
    """Where cloud machines find their credentials."""
    request = b"GET /latest/meta-data/ HTTP/1.0\r\n\r\n"
    return reached(lambda: talk(socket.AF_INET, ("169.254.169.254", 80), request))


def an_abstract_unix_socket(facts: Facts) -> str | None:
    """A socket with a name and no file."""
    return reached(lambda: connect(socket.AF_UNIX, "\0" + facts["abstract"]))


def a_unix_socket_by_its_path(facts: Facts) -> str | None:
    """A socket that every user of the host may use."""
    return reached(lambda: connect(socket.AF_UNIX, facts["socket"]))


def the_usual_unix_sockets(facts: Facts) -> str | None:
    """Docker, D-Bus, systemd, nscd."""
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/notify",
                 "/run/systemd/private", "/var/run/nscd/socket", "/run/containerd/containerd.sock"):  # fmt: skip
        found = reached(lambda p=path: connect(socket.AF_UNIX, p), path)
        if found:
            return found
    return None


def the_hypervisor(facts: Facts) -> str | None:
    """AF_VSOCK is not confined by a network namespace."""
    return reached(lambda: socket.socket(40, socket.SOCK_STREAM))


def netlink(facts: Facts) -> str | None:
    """Kernel interfaces behind AF_NETLINK: routes, audit, uevents."""
    return reached(lambda: [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) for protocol in (0, 9, 15)])


def packets(facts: Facts) -> str | None:
    """Raw frames on an interface."""
    return reached(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768))


def raw_ip(facts: Facts) -> str | None:
    """ICMP by hand."""
    return reached(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))


def kernel_crypto(facts: Facts) -> str | None:
    """AF_ALG, a favourite of exploits."""
    return reached(lambda: socket.socket(38, socket.SOCK_SEQPACKET))


def every_other_socket_family(facts: Facts) -> str | None:
    """Anything but Unix, IPv4 and IPv6."""
    made = []
    for family in range(50):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            if family not in (1, 2, 10) and reached(lambda f=family, k=kind: socket.socket(f, k)):
                made.append(family)
    return f"made sockets of families {made}" if made else None


def being_reached(facts: Facts) -> str | None:
    """Listen, and check for interfaces other than loopback, through which the host could connect."""
    names = [line.split(b":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:]]
    return f"interfaces {names}" if names != [b"lo"] else None


def an_interface_of_its_own(facts: Facts) -> str | None:
    """Configure the network namespace: set an address on an interface."""
    import fcntl

    def configure() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sH2s4s8s", b"lo", socket.AF_INET, b"", socket.inet_aton("10.1.2.3"), b"")
            fcntl.ioctl(control, 0x8916, request)
            return True

    return reached(configure)


def descriptors_through_the_environment(facts: Facts) -> str | None:
    """A socket or file that the starting process left open."""
    found = []
    for number in range(3, 1024):
        try:
            kind = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if not kind.startswith(("pipe:", "/proc", "/dev/null", "anon_inode")):
            found.append(kind)
    return repr(found) if found else None
