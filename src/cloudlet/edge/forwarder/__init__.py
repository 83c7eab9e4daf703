"""A UDP load balancer, for HAProxy has none: a process that spreads clients over targets by consistent
hashing.

    python -m cloudlet.edge.forwarder --socket-fd N --targets FILE

The keeper holds the bound socket, so that datagrams wait in it while the forwarder is restarted. A client
(address and port) keeps its target while that lives; when a target goes, only its clients move.
"""
