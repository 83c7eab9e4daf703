-- Valkey: all limits that a request is under, decided and counted at once. The twins are in policy/limits.
--
--   KEYS[i]   limit:LIMIT:ROUTE:KEY, the state of limit i
--               fixed-window     "NUMBER COUNT"               the window, requests let in in it
--               sliding-counter  "NUMBER CURRENT PREVIOUS"    the window, requests in it and in the one before
--               sliding-log      a list of times, the oldest first
--               token-bucket, leaky-bucket   "LEVEL AT"       the backlog in 1/P µs, and when it was that
--   ARGV[1]   the time in µs; empty for this server's, which is one clock for all edges
--   ARGV[5i-3 …]  algorithm, LIMIT (a bucket: burst), PER in µs, P, Q (the bucket's interval in 1/P µs)
--   returns   0 or the number of the first limit that refuses, then for each limit
--             remaining, retry_after, reset, delay (µs)
--
-- Nothing is counted when one refuses. All numbers are whole and below 2^53.

local floor, ceil, max = math.floor, math.ceil, math.max

-- milliseconds that a state is kept beyond its use, for a clock that is set back a little
local SLACK = 10000

local function whole(number) return string.format("%.0f", number) end

local function numbers(key)
    local found = {}
    for word in string.gmatch(redis.call("GET", key) or "", "%S+") do found[#found + 1] = tonumber(word) end
    return found
end

local function keep(key, microseconds, ...)
    local words = {}
    for i, number in ipairs({ ... }) do words[i] = whole(number) end
    redis.call("SET", key, table.concat(words, " "), "PX", whole(ceil(microseconds / 1000) + SLACK))
end

-- Each gives free (requests that may pass now, this one included), retry_after, reset when this one is let in and when
-- not, delay, and what counts it.
local algorithms = {}

algorithms["fixed-window"] = function(key, now, limit, per)
    local state, number = numbers(key), floor(now / per)
    local count = state[1] == number and state[2] or 0
    local left = (number + 1) * per - now
    return limit - count, left, left, left, 0, function() keep(key, left, number, count + 1) end
end

algorithms["sliding-counter"] = function(key, now, limit, per)
    local state, window, at = numbers(key), per / 1000, floor(now / 1000)
    local number = floor(at / window)
    local current, previous = 0, 0
    if state[1] == number then
        current, previous = state[2], state[3]
    elseif state[1] == number - 1 then
        previous = state[2]
    end
    local left = window - at % window
    local free = floor((limit * window - current * window - previous * left) / window)
    local retry = 0
    if free < 1 then
        local room = limit - 1 - current
        retry = room >= 0 and left - floor(room * window / previous) or left + ceil(window / current)
    end
    local unasked = left + (current > 0 and window or 0)
    return free, retry * 1000, (left + window) * 1000, unasked * 1000, 0, function()
        keep(key, 2 * per, number, current + 1, previous)
    end
end

algorithms["sliding-log"] = function(key, now, limit, per)
    local oldest = tonumber(redis.call("LINDEX", key, 0) or "")
    while oldest and oldest <= now - per do
        redis.call("LPOP", key)
        oldest = tonumber(redis.call("LINDEX", key, 0) or "")
    end
    local count = redis.call("LLEN", key)
    local retry, reset = 0, 0
    if count > 0 then
        reset = tonumber(redis.call("LINDEX", key, -1)) + per - now
        if count >= limit then retry = tonumber(redis.call("LINDEX", key, -limit)) + per - now end
    end
    return limit - count, retry, per, reset, 0, function()
        redis.call("RPUSH", key, whole(now))
        redis.call("PEXPIRE", key, whole(ceil(per / 1000) + SLACK))
    end
end

local function bucket(key, now, holds, p, q)
    local state = numbers(key)
    local level, at = state[1] or 0, state[2] or 0
    level = max(0, level - max(0, now - at) * p)
    at = max(now, at)
    local retry = ceil((level - (holds - 1) * q) / p)
    local reset = ceil((level + q) / p)
    return floor((holds * q - level) / q), retry, reset, ceil(level / p), ceil(level / p), function()
        keep(key, reset, level + q, at)
    end
end

algorithms["token-bucket"] = function(key, now, burst, _, p, q)
    local free, retry, reset, unasked, _, count = bucket(key, now, burst, p, q)
    return free, retry, reset, unasked, 0, count
end

-- one leaves at once, `burst` wait
algorithms["leaky-bucket"] = function(key, now, burst, _, p, q) return bucket(key, now, burst + 1, p, q) end

local now = tonumber(ARGV[1])
if not now then
    local time = redis.call("TIME")
    now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local found, refused = {}, 0
for i, key in ipairs(KEYS) do
    local a = 5 * i - 3
    local decide = algorithms[ARGV[a]]
    local free, retry, reset, unasked, delay, count =
        decide(key, now, tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]))
    found[i] = { free = free, retry = retry, reset = reset, unasked = unasked, delay = delay, count = count }
    if free < 1 and refused == 0 then refused = i end
end

local answer = { refused }
for _, limit in ipairs(found) do
    local passes = refused == 0
    if passes then limit.count() end
    answer[#answer + 1] = max(0, limit.free - (passes and 1 or 0))
    answer[#answer + 1] = limit.free < 1 and limit.retry or 0
    answer[#answer + 1] = passes and limit.reset or limit.unasked
    answer[#answer + 1] = passes and limit.delay or 0
end
return answer
