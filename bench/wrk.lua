-- wrk's side of bench/update: sends the requests of a file in turn, with a pause on each connection if one is given, and
-- says as JSON what came of it.
local requests, turn = {}, 0

function init(args)
    local pause = tonumber(args[2])
    if pause > 0 then
        function delay()
            return pause
        end
    end
    for line in io.lines(args[1]) do
        local parts = {}
        for part in (line .. "\t"):gmatch("([^\t]*)\t") do
            parts[#parts + 1] = part
        end
        local headers = {}
        for at = 4, #parts do
            local name, value = parts[at]:match("^(.-): (.*)$")
            headers[name] = value
        end
        requests[#requests + 1] = wrk.format(parts[1], parts[2], headers, parts[3])
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('{"requests": %d, "rate": %.1f, "p50": %.3f, "p99": %.3f, "errors": %d}\n', summary.requests,
        summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
