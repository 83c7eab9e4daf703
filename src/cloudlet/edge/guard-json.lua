-- JSON (RFC 8259) as tokens carry it. Strict: a name that is there twice, or anything behind the value, is refused,
-- because two readers would understand it differently.
--
--   decode(text) → value, or nil and why     encode(value) → text
--
-- Lists have the metatable `list`, null is `null`. A whole number of more than 18 digits stays text.

local json = { list = {}, null = setmetatable({}, { __tostring = function() return "null" end }) }

local DEEPEST = 32
local ESCAPED = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local WORDS = { ["true"] = true, ["false"] = false, ["null"] = json.null }
local value

local function fail(why) error({ why = why }, 0) end

local function after_blanks(text, at) return text:find("[^ \t\r\n]", at) or fail("ends early") end

local function code_point(text, at)
    local digits = text:match("^%x%x%x%x", at) or fail("a broken escape")
    return tonumber(digits, 16)
end

local function escape(text, at)
    local letter = text:sub(at, at)
    if letter ~= "u" then return ESCAPED[letter] or fail("a broken escape"), at + 1 end
    local code = code_point(text, at + 1)
    if code >= 0xD800 and code < 0xDC00 then
        if text:sub(at + 5, at + 6) ~= "\\u" then fail("half a character") end
        local low = code_point(text, at + 7)
        if low < 0xDC00 or low > 0xDFFF then fail("half a character") end
        return utf8.char(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00), at + 11
    end
    if code >= 0xDC00 and code <= 0xDFFF then fail("half a character") end
    return utf8.char(code), at + 5
end

local function string_at(text, at)
    local plain = text:match('^[^"\\%c]*', at)
    local stop = at + #plain
    if text:sub(stop, stop) == '"' then return plain, stop + 1 end
    local parts = { plain }
    while true do
        local letter = text:sub(stop, stop)
        if letter == '"' then return table.concat(parts), stop + 1 end
        if letter ~= "\\" then fail("a string without end") end
        parts[#parts + 1], stop = escape(text, stop + 1)
        plain = text:match('^[^"\\%c]*', stop)
        parts[#parts + 1] = plain
        stop = stop + #plain
    end
end

local function number_at(text, at)
    local whole = text:match("^%-?0", at) or text:match("^%-?[1-9]%d*", at) or fail("no value")
    local rest = text:match("^%.%d+", at + #whole) or ""
    local power = text:match("^[eE][+-]?%d+", at + #whole + #rest) or ""
    local written = whole .. rest .. power
    if rest == "" and power == "" and #written > 18 then return written, at + #written end
    local found = tonumber(written)
    if found == math.huge or found == -math.huge then fail("a number too large") end
    return found, at + #written
end

local function list_at(text, at, depth)
    local items, separator = setmetatable({}, json.list), nil
    at = after_blanks(text, at)
    if text:sub(at, at) == "]" then return items, at + 1 end
    repeat
        items[#items + 1], at = value(text, at, depth)
        at = after_blanks(text, at)
        separator, at = text:sub(at, at), at + 1
    until separator ~= ","
    if separator ~= "]" then fail("a broken list") end
    return items, at
end

local function object_at(text, at, depth)
    local members, separator, name = {}, nil, nil
    at = after_blanks(text, at)
    if text:sub(at, at) == "}" then return members, at + 1 end
    repeat
        at = after_blanks(text, at)
        if text:sub(at, at) ~= '"' then fail("a broken object") end
        name, at = string_at(text, at + 1)
        if members[name] ~= nil then fail("a name twice") end
        at = after_blanks(text, at)
        if text:sub(at, at) ~= ":" then fail("a broken object") end
        members[name], at = value(text, at + 1, depth)
        at = after_blanks(text, at)
        separator, at = text:sub(at, at), at + 1
    until separator ~= ","
    if separator ~= "}" then fail("a broken object") end
    return members, at
end

function value(text, at, depth)
    if depth == 0 then fail("too deep") end
    at = after_blanks(text, at)
    local letter = text:sub(at, at)
    if letter == '"' then return string_at(text, at + 1) end
    if letter == "{" then return object_at(text, at + 1, depth - 1) end
    if letter == "[" then return list_at(text, at + 1, depth - 1) end
    local word = text:match("^%l+", at)
    if word then
        if WORDS[word] == nil then fail("no value") end
        return WORDS[word], at + #word
    end
    return number_at(text, at)
end

function json.decode(text)
    local good, found, at = pcall(value, text, 1, DEEPEST)
    if not good then return nil, type(found) == "table" and found.why or "malformed" end
    if text:find("[^ \t\r\n]", at) then return nil, "more than one value" end
    return found
end

local function quoted(text)
    return '"' .. text:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

function json.encode(item)
    if item == json.null then return "null" end
    if type(item) == "string" then return quoted(item) end
    if type(item) ~= "table" then return tostring(item) end
    local parts = {}
    if getmetatable(item) == json.list then
        for place, part in ipairs(item) do parts[place] = json.encode(part) end
        return "[" .. table.concat(parts, ",") .. "]"
    end
    for name, part in pairs(item) do parts[#parts + 1] = quoted(name) .. ":" .. json.encode(part) end
    return "{" .. table.concat(parts, ",") .. "}"
end

return json
