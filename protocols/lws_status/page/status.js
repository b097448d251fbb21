"use strict";

/** Samples that a chart shows, at both its ends too. */
const SAMPLES = 121;
/** Milliseconds before it is tried again, at first and at most. */
const RETRY = [1000, 15000];
/** The words for what first packets came to. */
const VERDICTS = {
  "http": "http",
  "tls": "TLS handshake",
  "redirect": "sent to https",
  "listen-accept": "fallback",
  "refuse": "refused",
  "drop": "dropped",
};

const $ = (id) => document.getElementById(id);

// -- figures as texts

const number = new Intl.NumberFormat("en").format;

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return [unit === 0 || count >= 99.5 ? Math.round(count) : count.toFixed(1), units[unit]];
}

const inBytes = (count) => bytes(count).join("\u202f");

function duration(seconds) {
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** The same of a whole number of its larger unit. */
const span = (seconds) => duration(seconds).replace(/ 0 \w+$/, "");

// -- elements

function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

/** Sets a text, and leaves the page alone where it is that already. */
function say(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

/** Keeps one child per item, in their order, by `key(item, place)`; `make(item)` returns a new one with its `fill(item)`. */
function keep(parent, items, key, make) {
  const known = parent.known ??= new Map();
  const kept = new Set();
  items.forEach((item, at) => {
    const name = key(item, at);
    kept.add(name);
    if (!known.has(name)) known.set(name, make(item));
    const child = known.get(name);
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
    child.fill(item);
  });
  for (const [name, child] of known) {
    if (kept.has(name)) continue;
    child.remove();
    known.delete(name);
  }
}

// -- charts

/** A line over the last samples; the newest is at the right. */
class Chart {
  constructor(tile) {
    this.samples = [];
    this.svg = tile.querySelector("svg");
    this.svg.setAttribute("viewBox", `0 0 ${SAMPLES - 1} 100`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    [this.area, this.line] = ["area", "line"].map((name) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      return this.svg.appendChild(path);
    });
  }

  add(sample, words) {
    this.samples.push(sample);
    if (this.samples.length > SAMPLES) this.samples.shift();
    const peak = Math.max(...this.samples);
    const most = Math.max(1, peak);
    const first = SAMPLES - this.samples.length;
    const points = this.samples.map((value, at) => `${first + at},${(100 - 98 * value / most).toFixed(1)}`);
    this.line.setAttribute("d", `M${points.join("L")}`);
    this.area.setAttribute("d", `M${first},100L${points.join("L")}L${SAMPLES - 1},100Z`);
    this.svg.setAttribute("aria-label", words(sample));
    return peak;
  }
}

const TILES = Object.fromEntries(["connections", "requests", "rx", "tx"].map((id) => [id, new Chart($(id))]));

/** A figure with its unit, its chart, and what the chart's height and width stand for. */
function tile(id, sample, format, time, more) {
  const at = (name) => $(id).querySelector(name);
  const words = (value) => format(value).join("\u202f").trim();
  const [figure, unit] = format(sample);
  at(".figure").replaceChildren(String(figure), element("span", "", unit));
  say(at(".more"), more);
  say(at(".peak"), `peak ${words(TILES[id].add(sample, words))}`);
  say(at(".span"), span(time));
}

// -- lists

function bars(at, counts) {
  const most = Math.max(1, ...counts.map((count) => count.value));
  const shares = counts.map((count) => ({ ...count, share: count.value / most }));
  keep(at, shares, (count) => count.name, () => {
    const [name, value, ever, bar] = [element("span", "name"), element("span"), element("span", "ever"), element("i")];
    const row = element("li", "", name, element("span", "", value, ever), element("div", "bar", bar));
    row.fill = (count) => {
      say(name, count.name);
      say(value, number(count.value));
      say(ever, count.ever === undefined ? "" : ` / ${number(count.ever)}`);
      bar.style.width = `${100 * count.share}%`;
    };
    return row;
  });
}

const byRoleOrProtocol = ({ name, now, ever }) => ({ name, value: now, ever });

/** What first packets came to, in a line: those that there were. */
function verdictsOf(verdicts) {
  const some = Object.entries(verdicts).filter(([, count]) => count > 0);
  return some.map(([name, count]) => `${VERDICTS[name] ?? name} ${number(count)}`).join(" · ");
}

function named(text, ...marks) {
  return element("span", "name", text, ...marks.filter(Boolean).map((mark) => element("em", "", mark)));
}

function values(row, makers) {
  const places = makers.map(([words]) => {
    const place = element("span");
    row.append(element("span", "value", place, element("small", "", ` ${words}`)));
    return place;
  });
  row.fill = (item) => makers.forEach(([, value], at) => say(places[at], value(item)));
}

function listener(item) {
  const where = item.addresses.length > 0 ? item.addresses.join(", ") : item.listen;
  const row = element("li", "", named(where, item.use_ssl && "TLS"));
  values(row, [["accepted", (item) => number(item.accepted)]]);
  const wide = row.appendChild(element("span", "more wide"));
  const fill = row.fill;
  row.fill = (item) => {
    fill(item);
    say(wide, [item.vhosts.join(", "), verdictsOf(item.verdicts)].filter(Boolean).join(" — "));
  };
  return row;
}

function vhost(item) {
  const name = named(item.name, item.use_ssl && "TLS", item.sts && "STS");
  name.append(element("small", "where", item.listen.join(", ")));
  const summary = element("summary", "", name);
  values(summary, [
    ["connected", (item) => number(item.connections)],
    ["requests", (item) => number(item.requests)],
    ["in", (item) => inBytes(item.rx)],
    ["out", (item) => inBytes(item.tx)],
  ]);
  const inside = element("dl", "inside");
  const row = element("details", "", summary, inside);
  const facts = (item) => [
    ...item.mounts.map((mount) => [mount.mountpoint, mount.origin]),
    ...item.protocols.map((count) => [count.name, `${number(count.now)} now, bound ${number(count.ever)} times`]),
  ];
  const open = () => {
    const pairs = row.open ? facts(item) : [];
    inside.replaceChildren(...pairs.flatMap(([name, what]) => [element("dt", "", name), element("dd", "", what)]));
  };
  row.fill = (latest) => {
    item = latest;
    summary.fill(item);
    open();
  };
  row.addEventListener("toggle", open);
  return row;
}

// -- the page

let latest = null;

function show(status) {
  latest = status;
  const { sums, rates } = status;
  const alive = status.wsi_alive - status.listen_wsi;
  say($("about"), `rlws ${status.version} · process ${status.pid} · up ${duration(status.uptime)}`);
  const time = Math.round((SAMPLES - 1) * status.update_ms / 1000);
  tile("connections", alive, (count) => [number(count), ""], time, `${number(sums.accepted)} accepted`);
  tile("requests", rates.requests, (rate) => [number(rate), "/s"], time, `${number(sums.requests)} answered`);
  const rate = (value) => {
    const [figure, unit] = bytes(value);
    return [figure, `${unit}/s`];
  };
  for (const [id, words] of [["rx", "received"], ["tx", "sent"]]) {
    tile(id, rates[id], rate, time, `${inBytes(sums[id])} ${words}`);
  }
  const verdicts = Object.entries(status.verdicts).filter(([, count]) => count > 0);
  bars($("verdicts"), verdicts.map(([name, count]) => ({ name: VERDICTS[name] ?? name, value: count })));
  bars($("roles"), status.roles.map(byRoleOrProtocol));
  bars($("protocols"), status.protocols.map(byRoleOrProtocol));
  $("listening").hidden = $("served").hidden = status.vhosts === undefined;
  keep($("listeners"), status.listeners ?? [], (item, at) => `${at} ${item.listen} ${item.addresses}`, listener);
  keep($("vhosts"), status.vhosts ?? [], (item, at) => `${at} ${item.name} ${item.listen}`, vhost);
}

let socket = null;
let wait = RETRY[0];

function connect() {
  const place = new URL(".", location.href);
  place.protocol = place.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(place, ["lws-status", "lws-server-status"]);
  let silence = 0;
  const listen = (time) => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), time);
  };
  listen(RETRY[1]);
  socket.onmessage = (message) => {
    const status = JSON.parse(message.data);
    show(status);
    listen(3 * status.update_ms + 5000);
    wait = RETRY[0];
    document.body.classList.add("live");
    say($("state"), "live");
  };
  socket.onclose = () => {
    clearTimeout(silence);
    document.body.classList.remove("live");
    say($("state"), "reconnecting");
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(2 * wait, RETRY[1]);
  };
}

connect();
