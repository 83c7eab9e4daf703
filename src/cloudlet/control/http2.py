"""One GET over HTTP/2 in clear with prior knowledge (RFC 9113, 3.3), as HAProxy's own checks ask.

By the library h2, since a status may come Huffman-coded (RFC 7541, 5.2).
"""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, ResponseReceived, StreamReset
from h2.exceptions import H2Error

_CHUNK = 65_536


async def request_status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> int:
    """The status of the answer. Raises ValueError when it is none; the caller closes the connection."""
    connection = H2Connection(H2Configuration(client_side=True))
    headers = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)]
    try:
        connection.initiate_connection()
        connection.send_headers(connection.get_next_available_stream_id(), headers, end_stream=True)
        while True:
            writer.write(connection.data_to_send())
            data = await reader.read(_CHUNK)
            for event in connection.receive_data(data):
                if (status := _status(event)) is not None:
                    return status
            if not data:
                raise ValueError("the connection ended without an answer")
    except H2Error as error:
        raise ValueError(f"not HTTP/2: {error}") from error


def _status(event: Event) -> int | None:
    """An interim answer (103) is another event, and passed over."""
    if isinstance(event, ResponseReceived):
        return int(dict(event.headers)[b":status"])
    if isinstance(event, (StreamReset, ConnectionTerminated)):
        raise ValueError(f"refused with HTTP/2's error {event.error_code}")
    return None
