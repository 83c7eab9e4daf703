-- Gives answers whose bodies do not fit HAProxy's buffers (answers-data.lua, written by steps/answers.py).
--
--   txn.answer   which one
--
-- Bodies are read at the start: this folder is gone while a process that was succeeded still serves.

local answers = dofile("answers-data.lua")

for _, answer in pairs(answers) do
    local file = assert(io.open(answer.file, "rb"))
    answer.body = file:read("a")
    file:close()
end

core.register_service("answer", "http", function(applet)
    local answer = answers[applet:get_var("txn.answer")]
    applet:set_status(answer.status)
    for name, value in pairs(answer.headers) do
        applet:add_header(name, value)
    end
    applet:add_header("content-length", #answer.body)
    applet:start_response()
    if applet.method ~= "HEAD" then applet:send(answer.body) end
end)
