-- Stops the repeats of a backend's requests while they are more than its budget. BUDGETS stands before this text:
-- backend → share. One crash is no storm: requests that an instance had when it died come all at once, so the first
-- time repeats may be too many for GRACE.
--
-- One task for the whole process. It looks at each backend's counters (stot: requests, wretr: repeats by the backend)
-- and at how often the door was asked to repeat; policy/retry_budget.py is the same decision with its reasons.

local WINDOW = 10 -- seconds
local AT_LEAST = 100 -- repeats in a window that are always allowed
local GRACE = 1 -- seconds that repeats may be too many
local CALM = 30 -- seconds without a spent budget until there is grace again
local MOMENT = 0.25 -- seconds, in which a storm has further repeats
local STEP, QUIET_STEP = 50, 200 -- milliseconds between two looks, while there were repeats lately and otherwise
local AGAIN, SPENT = "retries-again.map", "retries-spent.map"

local again = Map.new(AGAIN, Map._str)
local looks, first, last, spent = {}, {}, {}, {}
local storm_since, spent_at = {}, {}
for name in pairs(BUDGETS) do
    looks[name], first[name], last[name] = {}, 1, 0
end

local function now()
    local time = core.now()
    return time.sec + time.usec / 1000000
end

local function look(name, time)
    local counters = core.backends[name]:get_stats()
    local asked = tonumber(again:lookup(name)) or 0
    return { at = time, requests = tonumber(counters.stot) - asked, retries = tonumber(counters.wretr) + asked }
end

-- The look that the window begins with: the youngest that is old enough, or the oldest there is.
local function beginning(name, time)
    local all = looks[name]
    while first[name] < last[name] and all[first[name] + 1].at <= time - WINDOW do
        all[first[name]] = nil
        first[name] = first[name] + 1
    end
    return all[first[name]]
end

-- Whether there were repeats within the last moment.
local function ongoing(name, present, time)
    local place = last[name]
    while place > first[name] and looks[name][place].at > time - MOMENT do
        place = place - 1
    end
    return present.retries > looks[name][place].retries
end

local function judge(name, time)
    local present = look(name, time)
    last[name] = last[name] + 1
    looks[name][last[name]] = present
    local before = beginning(name, time)
    local retries, requests = present.retries - before.retries, present.requests - before.requests
    local over = retries >= AT_LEAST + BUDGETS[name] * requests
    local storm = over and ongoing(name, present, time)
    storm_since[name] = storm and (storm_since[name] or time) or nil
    local grace = time - (spent_at[name] or time - CALM) >= CALM and GRACE or 0
    local now_spent = over and (spent[name] or storm and time - storm_since[name] >= grace)
    if now_spent then
        spent_at[name] = time
    end
    if now_spent and not spent[name] then
        core.set_map(SPENT, name, string.format("%d of %d", retries, requests))
    elseif spent[name] and not now_spent then
        core.del_map(SPENT, name)
    end
    spent[name] = now_spent
    return retries > 0
end

core.register_task(function()
    while true do
        local time, lately = now(), false
        for name in pairs(BUDGETS) do
            lately = judge(name, time) or lately
        end
        core.msleep(lately and STEP or QUIET_STEP)
    end
end)
