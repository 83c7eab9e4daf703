"""The smallest instance that answers HTTP: many of them fit on a small machine, and none takes CPU while idle.

Run as `python3 -I -S tiny.py`, with $PORT and $CLOUDLET_INSTANCE. Every answer names the instance and the moment
(CLOCK_MONOTONIC, which all processes share) at which it began to listen, so that whoever asks through the gateway can
tell how long after that it got its first request.
"""

import os
import selectors
import socket
import time

server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=1024)
ready = time.monotonic()
body = f"{os.environ.get('CLOUDLET_INSTANCE', '-')} {os.getpid()} {ready:.6f}\n".encode()
answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
server.setblocking(False)
waiting = selectors.DefaultSelector()
waiting.register(server, selectors.EVENT_READ)


def serve(connection: socket.socket) -> None:
    """One request at a time and without a body, as the edge's checks and the benchmarks send them."""
    try:
        data = connection.recv(65536)
        if data:
            connection.send(answer)
            return
    except OSError:
        pass
    waiting.unregister(connection)
    connection.close()


while True:
    for key, _ in waiting.select():
        if key.fileobj is server:
            client, _ = server.accept()
            waiting.register(client, selectors.EVENT_READ)
        else:
            serve(key.fileobj)  # type: ignore[arg-type]
