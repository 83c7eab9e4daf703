-- Says who is there and whether they may, for routes that require it (guard-data.lua, written by steps/guard.py).
--
--   txn.route    the route's label: what it requires
--   txn.path     canonical, for the path's parameters
--   txn.guard_found  what the map of API keys says of the header that carries one
--   txn.guard    "ok" when the request may go on; whatever happens here, without that it is refused behind us, because
--                a Lua action that fails lets a request pass
--   txn.user, txn.key, txn.roles, txn.scopes, txn.claims     who it is, where somebody is
--   txn.refused  why not, e.g. "jwt:expired", "role", "policy:own-orders"; never anything of the credential
--
-- One credential counts: Authorization where its scheme is accepted, else an API key, else a session, else a client
-- certificate. One that is there and bad is refused, also where none is needed; only a session that ended is as none.

-- what a request leaves behind is short-lived; this collector suits that better than the usual one
collectgarbage("generational")

local data = dofile("guard-data.lua")
local json = dofile("guard-json.lua")
local tokens = loadfile("guard-tokens.lua")(json, data)

local TITLES = {
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [403] = "Forbidden",
    [503] = "Service Unavailable",
}
local NOT_ITS_OWN = { algorithm = true, issuer = true, malformed = true, signature = true, ["unknown-key"] = true }
local MOST_KEYS = 1000 -- whose principals each thread keeps
local SAFE = { GET = true, HEAD = true, OPTIONS = true }
local PROBLEM = '{"type": "about:blank", "title": "%s", "status": %d, "detail": "%s"}\n'
local CHALLENGES = {
    jwt = 'Bearer realm="%s"',
    oauth = 'Bearer realm="%s"',
    basic = 'Basic realm="%s", charset="UTF-8"',
    api_key = 'ApiKey realm="cloudlet", header="%s"',
    oidc = 'Session realm="%s"',
    certificate = 'Certificate realm="cloudlet"',
}

local function clock()
    local time = core.now()
    return time.sec + time.usec / 1000000
end

-- the values of a header by its name, each fetched when it is first asked for, as most never are
local function headers_of(txn)
    return setmetatable({}, {
        __index = function(known, name)
            local count, values = txn.f:req_fhdr_cnt(name), nil
            if count > 0 then
                values = {}
                for place = 1, count do values[place - 1] = txn.f:req_fhdr(name, place) or "" end
            end
            rawset(known, name, values or false)
            return values
        end,
    })
end

-- answers

local function refuse(status, because, detail, bearer)
    return nil, { status = status, because = because, detail = detail, bearer = bearer }
end

local function challenges(rule, bearer)
    local listed, seen = {}, {}
    for _, credential in ipairs(rule.credentials) do
        local text = CHALLENGES[credential.kind]:format(credential.realm)
        if bearer and text:match("^Bearer") then text = text .. ", " .. bearer end
        if not seen[text] then listed[#listed + 1], seen[text] = text, true end
    end
    return listed
end

local function sign_in(txn, rule)
    local accept = txn.sf:req_fhdr("accept")
    if not rule.sign_in or not accept:find("text/html", 1, true) or not SAFE[txn.sf:method()] then return nil end
    local target = txn.sf:pathq():gsub("^//+", "/")
    if #target > 2048 then target = "/" end
    target = target:gsub("[^%w._~/-]", function(c) return string.format("%%%02X", c:byte()) end)
    return data.sign_in .. "/" .. rule.sign_in .. "?to=" .. target
end

local function answer(txn, rule, refusal)
    local status = refusal.status
    local body = PROBLEM:format(TITLES[status], status, refusal.detail)
    local headers = { ["content-type"] = { "application/problem+json" }, ["cache-control"] = { "no-store" } }
    local location = status == 401 and sign_in(txn, rule)
    txn:set_var("txn.refused", refusal.because)
    if location then
        headers.location, status = { location }, 302
    elseif status == 401 or refusal.bearer then
        headers["www-authenticate"] = challenges(rule, refusal.bearer)
    elseif status == 503 then
        headers["retry-after"] = { "1" }
    end
    txn:done(txn:reply({ status = status, headers = headers, body = body }))
end

-- credentials: each finder gives a principal; or nil and a refusal; or nothing where there is none of its kind

local function failed(kind, because)
    if because == tokens.unavailable then
        return refuse(503, kind .. ":unavailable", "it cannot be found out at the moment whether the credential is good")
    end
    local bearer = (kind == "jwt" or kind == "oauth") and 'error="invalid_token"' or nil
    return refuse(401, kind .. ":" .. because, "the credential is not valid: " .. because, bearer)
end

local function bearer(txn, rule, token, now)
    local last, kind
    for _, credential in ipairs(rule.credentials) do
        local principal, because
        if credential.kind == "jwt" then
            principal, because = tokens.check(txn, credential.name, token, now)
        elseif credential.kind == "oauth" then
            principal, because = tokens.ask(txn, "oauth", credential.name, token, now)
        end
        if principal then return principal end
        -- of several reasons, that of the issuer whose token it is says most
        if because and (last == nil or NOT_ITS_OWN[last] and not NOT_ITS_OWN[because]) then
            last, kind = because, credential.kind
        end
    end
    return failed(kind, last)
end

local known_keys, keys_known = {}, 0

local function basic(txn, rule, encoded)
    local text = encoded:match("^[%w+/]+=*$") and txn.c:b64dec(encoded)
    if not text or not text:find(":", 1, true) or text:find("%c") then return failed("basic", "malformed") end
    for _, credential in ipairs(rule.credentials) do
        if credential.kind == "basic" then
            local list = data.basic[credential.name]
            local hash = txn.c:hex(txn.c:sha2(list.salt .. ":" .. credential.name .. ":" .. text, 256)):lower()
            local found = list.users[hash]
            if found then
                found.principal = found.principal or tokens.principal(found.user, found.roles)
                return found.principal
            end
        end
    end
    return failed("basic", "credentials")
end

local function authorization(txn, rule, headers, now)
    local values = (rule.kinds.bearer or rule.kinds.basic) and headers["authorization"]
    if not values then return nil end
    if values[1] then return refuse(400, "authorization:twice", "there is more than one Authorization header") end
    local scheme, credential = values[0]:match("^(%a+) +(%S+)$")
    scheme = scheme and scheme:lower() or values[0]:match("^%a*"):lower()
    if scheme == "bearer" and rule.kinds.bearer then
        if not credential then return failed(rule.kinds.jwt and "jwt" or "oauth", "malformed") end
        return bearer(txn, rule, credential, now)
    end
    if scheme == "basic" and rule.kinds.basic then return basic(txn, rule, credential or "") end
    return nil
end

local function unlisted(text) return text == "-" and "" or (text:gsub(",", " ")) end

local function key_principal(found)
    local id, expires, user, roles, scopes = found:match("^(%S+) (%d+) (%S+) (%S+) (%S+)$")
    if not id then return nil end
    local principal = tokens.principal(user, unlisted(roles), unlisted(scopes))
    principal.key, principal.expires = id, tonumber(expires)
    if keys_known >= MOST_KEYS then known_keys, keys_known = {}, 0 end
    known_keys[found], keys_known = principal, keys_known + 1
    return principal
end

local function api_key(txn, rule, headers, now)
    local values = rule.kinds.api_key and headers[data.key_header]
    if not values then return nil end
    if values[1] then return refuse(400, "api-key:twice", "there is more than one " .. data.key_header .. " header") end
    local found = txn:get_var("txn.guard_found")
    if not found then return failed("api-key", "unknown") end
    local principal = known_keys[found] or key_principal(found)
    if not principal then return failed("api-key", "unknown") end
    if principal.expires ~= 0 and principal.expires <= now then return failed("api-key", "expired") end
    return principal
end

-- the cookie's value; nil where there is none, or more than one (somebody else's subdomain may have set another)
local function cookie(headers, name)
    local found, count = nil, 0
    for place = 0, #headers["cookie"] do
        -- pair by pair: one pattern for all of them would look for `=` from each letter on, for seconds in a long text
        for pair in headers["cookie"][place]:gmatch("[^;]+") do
            local key, content = pair:match("^ *([^=%s]+)=(%S*)")
            if key == name then found, count = content, count + 1 end
        end
    end
    return count == 1 and found or nil
end

-- a cookie comes along with whatever any page sends: what changes something, and WebSockets, must be of this origin
local function same_origin(txn, headers)
    if SAFE[txn.sf:method()] and not headers["upgrade"] then return true end
    local site = headers["sec-fetch-site"]
    if site then return not site[1] and (site[0] == "same-origin" or site[0] == "none") end
    local origin, host = headers["origin"], headers["host"]
    if not origin or origin[1] or not host then return false end
    local scheme = txn.f:ssl_fc() == 1 and "https://" or "http://"
    return origin[0]:lower() == scheme .. host[0]:lower()
end

local function session(txn, rule, headers, now)
    for _, credential in ipairs(rule.kinds.oidc and headers["cookie"] and rule.credentials or {}) do
        if credential.kind == "oidc" then
            local prefix = txn.f:ssl_fc() == 1 and "__Host-cloudlet-" or "cloudlet-"
            local value = cookie(headers, prefix .. credential.name)
            local principal = value and tokens.session(txn, credential.name, value, now)
            if principal and not same_origin(txn, headers) then
                return refuse(403, "csrf", "a session counts for requests of this origin's own pages only")
            end
            if principal then return principal end
        end
    end
    return nil
end

local function certificate(txn, rule)
    if not rule.kinds.certificate or txn.f:ssl_c_used() ~= 1 then return nil end
    if txn.f:ssl_c_verify() ~= 0 or txn.f:ssl_c_err() ~= 0 or txn.f:ssl_c_ca_err() ~= 0 then
        return failed("certificate", "invalid")
    end
    local principal = tokens.principal(txn.f:ssl_c_s_dn("CN"))
    if not principal then return failed("certificate", "no-name") end
    return principal
end

local function identify(txn, rule, headers, now)
    for _, find in ipairs({ authorization, api_key, session, certificate }) do
        local principal, refusal = find(txn, rule, headers, now)
        if principal or refusal then return principal, refusal end
    end
    if rule.optional then return nil end
    return refuse(401, "credentials", "this needs a credential")
end

-- what they may

local function any(names, set)
    for _, name in ipairs(names) do
        if set[name] then return true end
    end
    return false
end

-- the path's parameters as the service will read them; nil where it may read the path otherwise than we do
local function parameters(txn, places)
    local raw = txn.sf:path()
    if raw:find("//", 1, true) or raw:lower():find("%2f", 1, true) then return nil end
    local parts, found = {}, {}
    for part in txn:get_var("txn.path"):gmatch("/([^/]*)") do parts[#parts + 1] = part end
    for name, place in pairs(places) do
        if not parts[place] or parts[place] == "" then return nil end
        found[name] = parts[place]:gsub("%%20", " "):gsub("%%25", "%%")
    end
    return found
end

local function as_text(item)
    if type(item) == "string" then return item end
    if type(item) == "boolean" then return tostring(item) end
    if type(item) == "number" and math.tointeger(item) then return string.format("%d", math.tointeger(item)) end
    return nil
end

local function holds(claim, wanted)
    if type(claim) ~= "table" then return as_text(claim) == wanted end
    if getmetatable(claim) ~= json.list then return false end
    for _, item in ipairs(claim) do
        if as_text(item) == wanted then return true end
    end
    return false
end

local function fits(principal, policy, values)
    if any(policy.unless_roles, principal.role) then return true end
    for name, template in pairs(policy.claims) do
        local complete = true
        local wanted = template:gsub("{([a-z][a-z0-9_]*)}", function(parameter)
            complete = complete and values[parameter] ~= nil
            return values[parameter]
        end)
        if not complete or not holds(tokens.at(principal.claims, name), wanted) then return false end
    end
    return true
end

local function authorise(txn, rule, route, principal)
    if rule.roles and not any(rule.roles, principal.role) then
        return refuse(403, "role", "this needs another role")
    end
    for _, scope in ipairs(rule.scopes) do
        if not principal.scope[scope] then
            local bearer = rule.kinds.bearer and 'error="insufficient_scope", scope="' .. rule.scope_text .. '"' or nil
            return refuse(403, "scope", "this needs a further scope", bearer)
        end
    end
    if #rule.policies == 0 then return true end
    local values = route.parameters and parameters(txn, route.parameters) or {}
    values.method, values.host = txn.sf:method(), txn:get_var("txn.host")
    for _, name in ipairs(rule.policies) do
        if not fits(principal, data.policies[name], values) then
            return refuse(403, "policy:" .. name, "the policy " .. name .. " does not allow this")
        end
    end
    return true
end

local function say(txn, principal)
    txn:set_var("txn.user", principal.user)
    if principal.key then txn:set_var("txn.key", principal.key) end
    if principal.roles ~= "" then txn:set_var("txn.roles", principal.roles) end
    if principal.scopes ~= "" then txn:set_var("txn.scopes", principal.scopes) end
    if principal.encoded then txn:set_var("txn.claims", principal.encoded) end
end

core.register_action("guard", { "http-req" }, function(txn)
    local route = data.routes[txn:get_var("txn.route")]
    local rule = data.rules[route.number]
    local principal, refusal = identify(txn, rule, headers_of(txn), clock())
    if principal then
        local _, forbidden = authorise(txn, rule, route, principal)
        refusal = forbidden
        say(txn, principal)
    end
    if refusal then return answer(txn, rule, refusal) end
    txn:set_var("txn.guard", "ok")
end)
