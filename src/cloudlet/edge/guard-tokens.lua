-- Tokens: signed ones are verified here, by keys that HAProxy has read at its start; what can't be told here is asked
-- of cloudlet's gateway service (contracts/guard.py says how).
--
--   check(txn, name, token, now)      a JWT of the issuer NAME   → principal, or nil and the reason
--   ask(txn, kind, name, token, now)  the gateway service        → the same
--   session(txn, name, token, now)    a browser's session        → the same
--
-- An algorithm is bound to its keys before anything is computed: `none` has no key, and a public key is nobody's
-- secret. A principal: user, roles (text), scopes (text), role and scope (sets), claims, encoded, expires.
-- Whatever was verified is kept by its whole text, so that a signature is computed once for each thread; times are
-- looked at each time, and keys that change come with a new process, which has nothing kept.

local json, data = ...

local LONGEST = 8192           -- characters of a token
local KEPT = 2 * 1024 * 1024   -- characters of the tokens in one half of what is kept
local AT_ONCE = 64             -- questions under way, for each thread
local PATIENCE = 5000          -- milliseconds for an answer
local ASKED_FOR, REFUSED_FOR = 30, 1 -- seconds that answers count
local UNAVAILABLE = "unavailable"

local tokens = { unavailable = UNAVAILABLE }

-- two halves: when the new one is full it becomes the old one, and what is used meanwhile moves over
local function memory()
    local new, old, size = {}, {}, 0
    local kept = {}
    function kept.put(key, item)
        if size > KEPT then new, old, size = {}, new, 0 end
        new[key], size = item, size + #key + 200
    end
    function kept.get(key)
        local item = new[key]
        if item == nil and old[key] ~= nil then
            item = old[key]
            kept.put(key, item)
        end
        return item
    end
    return kept
end

-- principals

function tokens.at(claims, name)
    if claims[name] ~= nil then return claims[name] end
    local found = claims
    for step in name:gmatch("[^.]+") do
        if type(found) ~= "table" or getmetatable(found) == json.list or found == json.null then return nil end
        found = found[step]
    end
    return found
end

-- words of a text, or the texts of a list; none with what separates them in the header
local function words(item)
    local found = {}
    if type(item) == "string" then
        for word in item:gmatch("%S+") do found[#found + 1] = word end
    elseif type(item) == "table" and getmetatable(item) == json.list then
        for _, word in ipairs(item) do
            if type(word) == "string" and word ~= "" then found[#found + 1] = word end
        end
    end
    return found
end

-- a header loses such blanks on the way, so that a service would take "ann " for ann
local function blank_at_an_end(name) return name:find("^ ") ~= nil or name:find(" $") ~= nil end

local function set_of(names, separator, included)
    local set, listed = {}, {}
    local function add(name)
        if set[name] or name:find("[%c" .. separator .. "]") or blank_at_an_end(name) then return end
        set[name], listed[#listed + 1] = true, name
    end
    for _, name in ipairs(names) do
        add(name)
        for _, other in ipairs(included and included[name] or {}) do add(other) end
    end
    return set, table.concat(listed, separator)
end

-- nil when there is no user by whom to call it
function tokens.principal(user, roles, scopes, claims)
    if math.type(user) == "integer" then user = string.format("%d", user) end
    if type(user) ~= "string" or user == "" or #user > 256 or user:find("%c") then return nil end
    if blank_at_an_end(user) then return nil end
    local principal = { user = user, claims = claims or { sub = user } }
    principal.role, principal.roles = set_of(words(roles), ",", data.roles)
    principal.scope, principal.scopes = set_of(words(scopes), " ")
    return principal
end

-- what a token says

local function number(claims, name)
    local found = claims[name]
    if found ~= nil and (type(found) ~= "number" or found ~= found or math.abs(found) >= 1e12) then
        error({ because = "malformed" }, 0)
    end
    return found
end

local function holds(item, wanted)
    if type(item) ~= "table" or getmetatable(item) ~= json.list then return item == wanted end
    for _, part in ipairs(item) do
        if part == wanted then return true end
    end
    return false
end

-- RFC 7519, 4.1.4 to 4.1.6
local function times(principal, leeway, now)
    if principal.expires + leeway <= now then return "expired" end
    if principal.begins - leeway > now then return "not-yet" end
end

local function read(issuer, claims)
    if issuer.issuer and claims.iss ~= issuer.issuer then return nil, "issuer" end
    if issuer.audience and not holds(claims.aud, issuer.audience) then return nil, "audience" end
    local at = tokens.at
    local principal = tokens.principal(at(claims, issuer.user), at(claims, issuer.roles), at(claims, issuer.scopes), claims)
    if not principal then return nil, "no-user" end
    principal.expires = number(claims, "exp")
    principal.begins = math.max(number(claims, "nbf") or 0, number(claims, "iat") or 0)
    if not principal.expires then return nil, "no-expiry" end
    return principal
end

-- signatures

local function decoded(txn, part)
    local text = txn.c:ub64dec(part)
    local found = text and json.decode(text)
    return type(found) == "table" and getmetatable(found) ~= json.list and found ~= json.null and found or nil
end

local function signed(txn, token, algorithm, key)
    txn:set_var("txn.guard_algorithm", algorithm)
    txn:set_var("txn.guard_key", key.key)
    local result = txn.c:jwt_verify(token, "txn.guard_algorithm", "txn.guard_key")
    txn:unset_var("txn.guard_key")
    return result == 1
end

-- why none of the keys has made the signature; nil when one has
local function unsigned(txn, issuer, token, algorithm, kid)
    local known, fitting = false, false
    for _, key in ipairs(issuer.keys) do
        if key.algorithms[algorithm] then
            known = true
            if kid == nil or key.kid == nil or key.kid == kid then
                fitting = true
                if signed(txn, token, algorithm, key) then return nil end
            end
        end
    end
    if fitting then return "signature" end
    return known and "unknown-key" or "algorithm"
end

-- whether somebody else may know a key that is not known here
local function worth_asking(issuer, algorithm, kid, because)
    if not issuer.asks or algorithm:match("^HS") or algorithm:lower() == "none" then return false end
    return because ~= "signature" or kid == nil
end

local function taken_apart(txn, token)
    local first, second, third = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]*)$")
    local header = first and decoded(txn, first)
    if not header or header.crit ~= nil or type(header.alg) ~= "string" then return nil end
    if header.kid ~= nil and type(header.kid) ~= "string" then return nil end
    return header, second, third
end

local function verified(txn, name, issuer, token, now)
    local header, payload, signature = taken_apart(txn, token)
    if not header then return nil, "malformed" end
    local because = signature == "" and "signature" or unsigned(txn, issuer, token, header.alg, header.kid)
    if because and signature ~= "" and worth_asking(issuer, header.alg, header.kid, because) then
        return tokens.ask(txn, "jwt", name, token, now)
    end
    if because then return nil, because end
    local claims = decoded(txn, payload)
    if not claims then return nil, "malformed" end
    local good, principal, why = pcall(read, issuer, claims)
    if not good then return nil, "malformed" end
    if principal then principal.encoded = payload end
    return principal, why
end

local keeps = {}

local function checked(txn, name, issuer, token, now)
    if #token > LONGEST then return nil, "too-long" end
    local kept = keeps[issuer] or memory()
    keeps[issuer] = kept
    local principal, because = kept.get(token), nil
    if not principal then
        principal, because = verified(txn, name, issuer, token, now)
        if not principal then return nil, because end
        if not principal.asked then kept.put(token, principal) end
    end
    because = not principal.asked and times(principal, issuer.leeway, now)
    if because then return nil, because end
    return principal
end

function tokens.check(txn, name, token, now) return checked(txn, name, data.jwt[name], token, now) end

function tokens.session(txn, name, token, now) return checked(txn, name, data.oidc[name], token, now) end

-- questions

local answers, asking, under_way = memory(), {}, 0

local function answered(text, now, longest)
    local answer = json.decode(text or "")
    if type(answer) ~= "table" or type(answer.active) ~= "boolean" then return { because = UNAVAILABLE, till = now } end
    if not answer.active then
        local because = type(answer.because) == "string" and answer.because:match("^[%l-]+$") or "inactive"
        return { because = because, till = now + REFUSED_FOR }
    end
    local claims = type(answer.claims) == "table" and answer.claims or {}
    local principal = tokens.principal(answer.user, answer.roles, answer.scopes, claims)
    if not principal then return { because = "no-user", till = now + REFUSED_FOR } end
    principal.asked = true
    local expires = type(answer.expires) == "number" and answer.expires or math.huge
    return { principal = principal, till = math.min(now + longest, expires) }
end

local function post(kind, name, token)
    local answer = core.httpclient():post({
        url = "http://" .. data.ask .. data.verify,
        timeout = PATIENCE,
        headers = { ["content-type"] = { "application/json" }, ["authorization"] = { "Bearer " .. data.ask_secret } },
        body = json.encode({ kind = kind, name = name, token = token }),
    })
    return answer and answer.status == 200 and answer.body or nil
end

-- a task of its own: it ends, and is counted, also when whoever wanted to know has gone
local function inquire(question)
    local good, text = pcall(post, question.kind, question.name, question.token)
    local longest = question.kind == "oauth" and data.oauth[question.name] or ASKED_FOR
    -- whatever the answer holds, those who wait for it must be let go
    local read, answer = pcall(answered, good and text or nil, question.now, longest)
    if not read then answer = answered(nil, question.now, longest) end
    asking[question.key], under_way = nil, under_way - 1
    if answer.because ~= UNAVAILABLE then answers.put(question.key, answer) end
    question.answer = answer
end

local function said(txn, answer)
    local principal = answer.principal
    if not principal then return nil, answer.because end
    if not principal.encoded then
        local text = txn.c:base64(json.encode(principal.claims))
        principal.encoded = text:gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" })
    end
    return principal
end

function tokens.ask(txn, kind, name, token, now)
    if data.ask == "" then return nil, "unknown-key" end
    if #token > LONGEST then return nil, "too-long" end
    local key = kind .. " " .. name .. " " .. token
    local known = answers.get(key)
    if known and known.till > now then return said(txn, known) end
    local question = asking[key]
    if not question then
        if under_way >= AT_ONCE then return nil, UNAVAILABLE end
        question = { kind = kind, name = name, token = token, key = key, now = now }
        asking[key], under_way = question, under_way + 1
        core.register_task(inquire, question)
    end
    while not question.answer do core.msleep(1) end
    return said(txn, question.answer)
end

return tokens
