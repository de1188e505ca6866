-- For wrk: one request of each connection every PAUSE ms, and at the end one line of JSON with what went wrong.
local pause = tonumber(os.getenv('PAUSE'))
wrk.headers['Connection'] = os.getenv('CONNECTION')

function delay()
  return pause
end

function done(summary)
  local e = summary.errors
  print(string.format('{"requests":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}',
    summary.requests, e.connect, e.read, e.write, e.status, e.timeout))
end
