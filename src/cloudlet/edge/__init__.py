"""HAProxy: its configuration, its runtime socket, its Lua; and the UDP forwarder it has not."""
