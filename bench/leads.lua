-- Sends leads to one source, each body another: wrk -s leads.lua URL -- FIRST [SIGNATURES]
-- SIGNATURES is a file of one HMAC a line, in hex, for the leads from FIRST + 1 on.
-- FIRST keeps the numbers of one call apart from those of the next; threads are kept apart too.
-- Prints one line of JSON at the end. The bodies are those of bench/lead.py: 400 bytes.

local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

function init(arguments)
  number = tonumber(arguments[1] or "0") + thread_number * 100000000
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  began = number
  if arguments[2] then
    local file = assert(io.open(arguments[2], "rb"))
    signatures = file:read("*a")
    file:close()
  end
  filler = string.rep("Please call me back about the offer. ", 12)
end

function request()
  number = number + 1
  local person = number % 20000
  local head = string.format(
    '{"lead_id":%d,"name":"  visitor %d  ","phone":"+7 (916) %03d-%02d-%02d",'
      .. '"email":"Visitor.%d@Example.com","page":"/landing/spring","comment":"',
    number, person, math.floor(person / 10000), math.floor(person / 100) % 100, person % 100,
    person)
  if signatures then
    local at = (number - began - 1) * 65
    wrk.headers["X-Signature"] = "sha256=" .. string.sub(signatures, at + 1, at + 64)
  end
  return wrk.format(nil, nil, nil, head .. string.sub(filler, 1, 398 - #head) .. '"}')
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f,'
      .. '"other_answers":%d,"socket_errors":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
