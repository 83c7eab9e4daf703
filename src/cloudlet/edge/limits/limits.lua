-- Limits that Valkey counts, and the waiting of leaky buckets.
--
--   lua.limits SET     asks for all limits of the set at once (limits-data.lua). Reads txn.key_N; sets txn.free_N,
--                      txn.reset_N, txn.retry_N (ms), txn.limit_refused, txn.limit_until, as edge/limits/__init__.py says
--   lua.limit_wait     until txn.limit_until
--
-- When Valkey does not answer in TIMEOUT the request passes uncounted (fail open), an error is logged at most once a
-- second, and nobody asks again for PAUSE: a store that is away must not add its timeout to every request.
-- Connections are kept by this thread: HAProxy allows a socket to be used only on the thread that made it.

local data = dofile("limits-data.lua")

local TIMEOUT = 0.05 -- seconds
local PAUSE = 100 -- milliseconds
local IDLE = 20 -- seconds a kept connection may be silent
local KEPT = 64

local file = assert(io.open(data.script))
local script = file:read("a")
file:close()

local idle = {}
local away_until, said = 0, 0

local function milliseconds()
    local time = core.now()
    return time.sec * 1000 + math.floor(time.usec / 1000)
end

local function bulk(text) return "$" .. #text .. "\r\n" .. text .. "\r\n" end

local function connect()
    local socket = core.tcp()
    socket:settimeout(TIMEOUT)
    local made, problem = socket:connect(data.host, data.port)
    if not made then return nil, problem end
    if data.password ~= "" then
        socket:send("*3\r\n" .. bulk("AUTH") .. bulk(data.user) .. bulk(data.password))
        local line = socket:receive("*l")
        if line ~= "+OK" then
            socket:close()
            return nil, line or "it does not answer"
        end
    end
    return socket
end

local function line_of(socket)
    local line, problem = socket:receive("*l")
    return line and line:gsub("\r$", ""), problem
end

-- The numbers that the script answers; else nil and what went wrong.
local function talk(socket, command)
    local sent, problem = socket:send(command)
    if not sent then return nil, problem end
    local line
    line, problem = line_of(socket)
    if not line then return nil, problem end
    local count = tonumber(line:match("^%*(%d+)$"))
    if not count then return nil, line end
    local numbers = {}
    for i = 1, count do
        line, problem = line_of(socket)
        numbers[i] = line and tonumber(line:match("^:(%-?%d+)$"))
        if not numbers[i] then return nil, line or problem end
    end
    return numbers
end

local function exchange(command, whole)
    local socket = table.remove(idle)
    local kept = socket ~= nil
    local numbers, problem
    while true do
        if not socket then
            socket, problem = connect()
            if not socket then return nil, problem end
        end
        socket:settimeout(TIMEOUT)
        numbers, problem = talk(socket, command)
        if not numbers and tostring(problem):find("^%-NOSCRIPT") then numbers, problem = talk(socket, whole) end
        if numbers then break end
        socket:close()
        -- a connection that was kept may have been ended meanwhile; a new one, once
        if not kept or tostring(problem):find("^%-") then return nil, problem end
        socket, kept = nil, false
    end
    if #idle < KEPT then
        socket:settimeout(IDLE)
        idle[#idle + 1] = socket
    else
        socket:close()
    end
    return numbers
end

-- Everything of a command that does not change.
local function prepare(set)
    local count = #set
    local head = "*" .. (4 + 6 * count) .. "\r\n"
    local words = {}
    for _, limit in ipairs(set) do
        for i = 1, 5 do words[#words + 1] = bulk(limit[i]) end
    end
    set.before = head .. bulk("EVALSHA") .. bulk(data.digest) .. bulk(tostring(count))
    set.whole = head .. bulk("EVAL") .. bulk(script) .. bulk(tostring(count))
    set.after = bulk("") .. table.concat(words)
end

for _, set in pairs(data.sets) do prepare(set) end

local function fail_open(problem)
    local now = milliseconds()
    away_until = now + PAUSE
    if now - said >= 1000 then
        said = now
        core.Warning("limits: requests pass uncounted, the store at " .. data.host .. ":" .. data.port
            .. " fails: " .. tostring(problem))
    end
end

core.register_action("limits", { "http-req" }, function(txn, name)
    local set = data.sets[name]
    if milliseconds() < away_until then return end
    local keys = {}
    for i, limit in ipairs(set) do keys[i] = bulk(limit.prefix .. txn:get_var("txn.key_" .. limit.slot)) end
    local rest = table.concat(keys) .. set.after
    local numbers, problem = exchange(set.before .. rest, set.whole .. rest)
    if not numbers or #numbers ~= 1 + 4 * #set then return fail_open(problem) end
    for i, limit in ipairs(set) do
        local n, at = limit.slot, 4 * i - 2
        txn:set_var("txn.free_" .. n, numbers[at])
        txn:set_var("txn.reset_" .. n, (numbers[at + 2] + 999) // 1000)
        if numbers[at + 1] > 0 then txn:set_var("txn.retry_" .. n, (numbers[at + 1] + 999) // 1000) end
        if numbers[at + 3] > 0 then
            local now = core.now()
            txn:set_var("txn.limit_until", (now.sec - data.epoch) * 1000000 + now.usec + numbers[at + 3])
        end
    end
    if numbers[1] > 0 then txn:set_var("txn.limit_refused", set[numbers[1]].slot + 1) end
end, 1)

core.register_action("limit_wait", { "http-req" }, function(txn)
    local leaves = txn:get_var("txn.limit_until")
    while true do
        local now = core.now()
        local left = leaves - (now.sec - data.epoch) * 1000000 - now.usec
        if left <= 0 then return end
        core.msleep(math.max(1, math.ceil(left / 1000)))
    end
end)
