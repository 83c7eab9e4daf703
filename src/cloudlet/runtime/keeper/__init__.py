"""The keeper: the parent of every process of a stack and the holder of its listening sockets.

Standard library only, so that it starts in milliseconds, stays small, and has nothing that could fail.
Killed, it costs nothing: what runs goes on, and a successor started on the same state adopts it.

    kernel    the system calls that Python lacks           spool, logfile, output   what processes print
    procfs    who runs, by /proc                           sockets                  what is listened on
    record    what is known of a process, state its file   cgroup                   limits
    spawn     becoming the child                           processes, ending        the life of a process
    loop      waiting                                      server, requests         who asks for it
"""
