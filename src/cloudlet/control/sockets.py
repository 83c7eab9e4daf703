"""The listening sockets of a stack: asked of the keeper, which holds them beyond the life of whoever serves."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cloudlet.contracts.process import HeldSocket, Supervisor
from cloudlet.control.store import Store
from cloudlet.control.topology import SocketRequest, internal_names, internal_socket, public_sockets
from cloudlet.errors import Refused
from cloudlet.runtime.ports import free_port
from cloudlet.stack import Stack

Held = list[tuple[SocketRequest, HeldSocket]]


async def hold(stack: Stack, supervisor: Supervisor, store: Store) -> Held:
    """Hold every address the stack answers on. Raises Refused, naming the address, when one is taken; those already
    held for the present stack stay as they are, those newly held for this one are let go again."""
    before = await supervisor.sockets()
    held: Held = []
    try:
        for request in public_sockets(stack):
            held.append((request, await _listen(supervisor, request)))
        for name in internal_names(stack):
            held.append(await _hold_internal(stack, name, supervisor, store))
    except Refused:
        await release(supervisor, [socket.name for _, socket in held if socket.name not in before])
        raise
    return held


async def _listen(supervisor: Supervisor, request: SocketRequest) -> HeldSocket:
    try:
        return await supervisor.listen(request.name, request.host, request.port, datagram=request.datagram)
    except Refused as error:
        raise Refused(
            f"cannot listen for {request.purpose} on {request.host}:{request.port}: {error};"
            f" end what listens there or change the port in the file"
        ) from error


async def _hold_internal(
    stack: Stack, name: str, supervisor: Supervisor, store: Store
) -> tuple[SocketRequest, HeldSocket]:
    ports = store.ports()
    known = ports.get(f"internal-{name}")
    if known is not None:
        request = internal_socket(stack, name, known)
        try:
            return request, await supervisor.listen(request.name, request.host, known)
        except Refused:
            pass  # somebody took it while the stack was down: a fresh one
    port = free_port(set(ports.values()))
    request = internal_socket(stack, name, port)
    socket = await supervisor.listen(request.name, request.host, port)
    store.keep_port(f"internal-{name}", port)
    return request, socket


async def release(supervisor: Supervisor, names: Iterable[str]) -> None:
    for name in names:
        await supervisor.release(name)


async def release_unused(supervisor: Supervisor, used: Collection[str]) -> None:
    """Let go of sockets that no part of the stack asks for any more."""
    await release(supervisor, [name for name in await supervisor.sockets() if name not in used])
