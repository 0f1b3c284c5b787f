"""The files and the name server that a container resolves names with."""

import socket
import struct
import threading
from pathlib import Path

from container import Network

A = 1


class NameServer:
    """Port 53 of 127.0.0.1, and the files that the kubelet would mount."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.addresses: dict[str, str] = {}
        self.hosts, self.resolv_conf = directory / "hosts", directory / "resolv.conf"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.resolv_conf.write_text("nameserver 127.0.0.1\nsearch default.svc.cluster.example cluster.example\noptions ndots:5\n")
        self.socket = network.call(self._bound)
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, name: str, address: str, way: str) -> None:
        """Gives a name an address, in the hosts file or in DNS."""
        if way == "hosts":
            self.hosts.write_text(f"{address} {name}\n")
        else:
            self.addresses[name] = address

    def close(self) -> None:
        self.socket.close()

    @staticmethod
    def _bound() -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 53))
        return bound

    def _serve(self) -> None:
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
            except OSError:
                return
            self.socket.sendto(self._response(query), client)

    def _response(self, query: bytes) -> bytes:
        """RFC 1035: the question, and the address or that there is no such name."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        address = self.addresses.get(".".join(labels))
        answers = [socket.inet_aton(address)] if address and kind == A else []
        head = query[:2] + struct.pack("!HHHHH", 0x8180 if address else 0x8183, 1, len(answers), 0, 0)
        # A pointer to the name of the question; class IN, valid for a day.
        records = [struct.pack("!HHHIH", 0xC00C, A, 1, 86400, len(data)) + data for data in answers]
        return head + query[12 : at + 5] + b"".join(records)
