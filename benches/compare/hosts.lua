-- wrk: requests for one host after the other. `wrk -s hosts.lua URL -- COUNT`: h0.example to h(COUNT - 1).example
local requests, sent = {}, 0

function init(args)
   for number = 0, tonumber(args[1]) - 1 do
      wrk.headers["Host"] = "h" .. number .. ".example"
      requests[#requests + 1] = wrk.format()
   end
end

-- A step of a large prime: the next host is never beside the last one in memory.
function request()
   sent = (sent + 7919) % #requests
   return requests[sent + 1]
end
