"""`cloudlet-egress`: the forward proxy of a stack's instances. An ordinary TCP service behind an internal listener.

serve         the process: configuration, listening, draining
client        one client's connection: whose it is, what it asks for, one request after another
target        what a request line asks for, read in one way only
messages      heads and chunked bodies by llhttp, strictly
wire          a connection with flow control: read by a coroutine, or joined to another one
connect       rules, names, addresses, connection
forward       one plain HTTP request and its answer
tunnel        CONNECT
cache         answers kept (freshness: the rules of RFC 9111)
log, answers, admission, headers
"""
