"""Which network interface leads to the other machines of a job."""

import os
import socket
from datetime import timedelta

import psutil
import torch.distributed as dist


def choose_interface(timeout: timedelta) -> dist.Store | None:
    """Where torch's launcher spans several machines, let gloo take the interface that leads from one to the other.

    By itself gloo takes the address of the host's name, on many systems 127.0.1.1, which no other machine can reach.
    A GLOO_SOCKET_IFNAME of the user's stays. Keep what is returned until the process group is there: it may be served
    by this process.
    """
    environment = os.environ
    here = environment.get("LOCAL_WORLD_SIZE")
    if here is None or here == environment.get("WORLD_SIZE"):
        return None
    store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
    target = environment["MASTER_ADDR"]
    if rank == size - 1:  # on the last machine
        store.set("address_of_last_rank", _own_address(target))
    if rank < int(here):  # on the first: its own name may lead to itself only, it asks for the way to another
        target = store.get("address_of_last_rank").decode()
    if interface := _interface_of(_own_address(target)):
        environment.setdefault("GLOO_SOCKET_IFNAME", interface)
    return store


def _own_address(target: str) -> str:
    """The address that this machine has for `target`, a name or an address; "" if no way leads there."""
    for family, kind, _, _, address in socket.getaddrinfo(target, 0, type=socket.SOCK_DGRAM):
        with socket.socket(family, kind) as way:
            try:
                way.connect(address)  # with UDP this sends nothing
                return str(way.getsockname()[0])
            except OSError:
                continue
    return ""


def _interface_of(address: str) -> str | None:
    for name, addresses in psutil.net_if_addrs().items():
        if any(known.address.split("%")[0] == address for known in addresses):
            return name
    return None
