# sh -c TEXT NAME DATA PROGRAM ARGUMENTS...
# Ends what a killed postmaster left behind, then becomes the new one. Its children are in process groups of their
# own, so killing the postmaster's group misses them; one in the middle of a query keeps the shared memory, and
# PostgreSQL refuses to start until it is gone.
data=$1 program=$2
shift

ours() { [ "/proc/$1/cwd" -ef "$data" ] && [ "/proc/$1/exe" -ef "$program" ]; }

stragglers() {
    found=
    for entry in /proc/[0-9]*; do
        if ours "${entry#/proc/}"; then found="$found ${entry#/proc/}"; fi
    done
    [ -n "$found" ]
}

master=
if [ -r "$data/postmaster.pid" ]; then read -r master < "$data/postmaster.pid" || :; fi
# Where the postmaster itself lives, PostgreSQL says so and refuses.
if [ -z "$master" ] || ! ours "$master"; then
    tries=500
    while [ "$tries" -gt 0 ] && stragglers; do
        kill -KILL $found 2> /dev/null
        tries=$((tries - 1))
        sleep 0.02
    done
fi
exec "$@"
