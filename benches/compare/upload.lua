-- wrk: a POST with a body of so many bytes. `wrk -s upload.lua URL -- BYTES`
function init(args)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/octet-stream"
   wrk.body = string.rep("x", tonumber(args[1]))
end
