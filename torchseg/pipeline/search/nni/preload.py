"""JavaScript that Node loads before NNI's server, because NNI 3.0 has no settings for what it changes."""

PRELOAD = """\
// Loopback only: the server takes commands from whoever reaches it, and would listen on every interface.
const net = require("net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (first, ...rest) {
  if (first !== null && typeof first === "object" && "port" in first) {
    return listen.call(this, { ...first, host: "127.0.0.1" }, ...rest);
  }
  if (typeof first === "number" || /^[0-9]+$/.test(String(first))) {
    if (typeof rest[0] === "string") rest.shift();
    return listen.call(this, Number(first), "127.0.0.1", ...rest);
  }
  return listen.call(this, first, ...rest);
};

// The tuner gets 10 s to import its libraries and report, which a busy machine exceeds: give it 120.
const later = globalThis.setTimeout;
globalThis.setTimeout = (act, ms, ...rest) => later(act, ms === 10000 ? 120000 : ms, ...rest);

// The manager looks every 5 s whether a trial has ended before it asks for the next: look every second.
const timers = require("timers/promises");
const wait = timers.setTimeout;
timers.setTimeout = (ms, ...rest) => wait(ms === 5000 ? 1000 : ms, ...rest);
"""
