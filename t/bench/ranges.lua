-- SPDX-License-Identifier: Apache-2.0
-- wrk: ranges of one blob at random. Arguments: bytes of a range, of the blob, and what a range's start is a multiple of.
-- The requests are written before the clock runs, so that the client costs little beside what it measures.
local ready, last = {}, 4096

function init(arguments)
    local size, whole, step = tonumber(arguments[1]), tonumber(arguments[2]), tonumber(arguments[3])
    math.randomseed(os.time())
    for i = 1, last do
        local from = math.random(0, math.floor((whole - size) / step)) * step
        wrk.headers["Range"] = string.format("bytes=%d-%d", from, from + size - 1)
        ready[i] = wrk.format("GET")
    end
end

function request()
    return ready[math.random(last)]
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.bytes, summary.duration,
        e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
