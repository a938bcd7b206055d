"use strict";

const REFRESH_MS = 10000;
const RUNNING_MS = 1000;
const COME_AGAIN_MS = 3000;
const SHOWN_TROUBLE = 20;
const SHOWN_OF_BATCH = 100;
const get = (id) => document.getElementById(id);
let token = "";        // of this tab, while it is open
let mayManage = false;
let cursor = "";
let searches = 0;      // answers to earlier searches are dropped

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(method, target) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(target, { method, headers, cache: "no-store" });
  const body = await response.json();
  if (!response.ok) throw new Refused(response.status, body.detail || response.statusText);
  return body;
}

/** An element; whatever comes from outside becomes text, never markup. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const numbers = new Intl.NumberFormat();
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; ++unit) bytes /= 1024;
  return `${bytes >= 100 || unit === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

function age(date) {
  return duration(Math.max(0, (Date.now() - Date.parse(date)) / 1000));
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

function time(date) {
  return make("time", { dateTime: date, title: date }, dates.format(new Date(date)));
}

function mark(status, suffix = "") {
  return make("span", { className: `mark ${status}` }, status.replace("_", " ") + suffix);
}

function say(text) {
  get("toast").textContent = text;
  get("toast").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { get("toast").hidden = true; }, 5000);
}

async function act(method, target, done) {
  try {
    await ask(method, target);
    say(done);
  } catch (error) {
    say(error.message);
  }
  await refresh();
}

function button(label, onclick, className = "") {
  return make("button", { type: "button", className, onclick }, label);
}

/** Nothing is deleted before somebody has said so. */
function confirmDrop(file) {
  get("ask-title").textContent = `Delete ${file.path}?`;
  get("ask-text").textContent = "It is deleted for good, here and now. The record of it stays.";
  get("ask-no").onclick = () => get("ask").close();
  get("ask-yes").onclick = () => {
    get("ask").close();
    act("DELETE", `/v1/quarantine/${encodeURIComponent(file.id)}`, `${file.path} is deleted`);
  };
  get("ask").showModal();
}

/** Digests are told by their beginning, and the path is told already. */
function brief(message, path) {
  return message.replace(`${path}: `, "").replace(/\b(sha\d+|md5):([0-9a-f]{8})[0-9a-f]+/g, "$1:$2…");
}

/** Draws anew only what has changed, so that nobody loses the place where the keyboard is. */
function redraw(container, data, draw) {
  const key = JSON.stringify(data);
  const isBusy = container.contains(document.activeElement);
  if (isBusy && container.drawn === key) return;
  container.drawn = key;
  container.replaceChildren(...draw());
}

// What needs somebody.

function failedItem(file) {
  const failed = file.deliveries.filter((one) => one.status === "failed");
  const givenUp = failed.some((one) => one.given_up);
  const why = failed.map((one) => `${one.destination || "a destination"}: ${one.error ? brief(one.error.message, file.path) : ""}`);
  return make("li", {},
    make("div", { className: "what" },
      button(file.path, () => showStory(file.id), "path"),
      make("div", { className: "why" }, why.join("; "))),
    mark("failed", givenUp ? ", given up" : ", will be tried again"),
    mayManage ? button("Retry", () => act("POST", `/v1/files/${encodeURIComponent(file.id)}/retry`,
      `${file.path} is pending again`)) : null);
}

function heldItem(file) {
  const actions = mayManage ? [
    file.kind === "file" && file.is_there ? button("Release", () => act("POST",
      `/v1/quarantine/${encodeURIComponent(file.id)}/release`, `${file.path} is released`)) : null,
    button("Delete…", () => confirmDrop(file), "danger")] : [];
  return make("li", { className: "held" },
    make("div", { className: "what" },
      file.registered ? button(file.path, () => showStory(file.id), "path")
        : make("span", { className: "path" }, file.path),
      make("div", { className: "why" }, `${file.reason}; in ${file.landing}, for ${age(file.since)}`)),
    mark("quarantined"), ...actions);
}

function showTrouble(failed, held, total) {
  const shown = held.slice(0, SHOWN_TROUBLE);
  const rest = total - failed.length - shown.length;
  redraw(get("trouble"), [failed, shown, rest], () => [
    ...failed.map(failedItem), ...shown.map(heldItem),
    rest > 0 ? make("li", { className: "rest" },
      `and ${numbers.format(rest)} more: choose “failed” or “quarantined” below`) : ""]);
  get("trouble-count").textContent = total > 0 ? numbers.format(total) : "";
  get("calm").hidden = total > 0;
  document.title = total > 0 ? `(${total}) ferry` : "ferry";
}

// Destinations.

function bar(files) {
  const shown = ["successful", "in_progress", "pending", "quarantined", "failed"];
  const total = shown.reduce((sum, status) => sum + files[status], 0);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "bar");
  svg.setAttribute("viewBox", "0 0 100 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  let x = 0;
  for (const status of shown) {
    if (!files[status]) continue;
    const width = Math.max(files[status] * 100 / total, 1);
    const part = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ x, width, height: 1, class: `fill-${status}` })) part.setAttribute(name, value);
    svg.append(part);
    x += width;
  }
  return svg;
}

function destinationCard(totals) {
  const shown = [["pending", "pending"], ["in_progress", "in progress"], ["successful", "successful"], ["failed", "failed"]];
  const counts = shown.map(([status, label]) => make("div", {},
    make("dt", {}, label),
    make("dd", { className: totals.files[status] ? status : "zero" }, numbers.format(totals.files[status]))));
  const foot = [];
  if (totals.oldest_pending) foot.push(`oldest pending: ${age(totals.oldest_pending.since)}, ${totals.oldest_pending.path}`);
  if (totals.given_up) foot.push(`${numbers.format(totals.given_up)} given up`);
  if (totals.files.quarantined) foot.push(`${numbers.format(totals.files.quarantined)} quarantined`);
  if (totals.last_success) foot.push(`last delivery ${age(totals.last_success)} ago`);
  return make("article", { className: "destination" },
    make("h3", {}, totals.destination || "No destination yet"), bar(totals.files),
    make("dl", { className: "numbers" }, ...counts), make("p", { className: "foot" }, foot.join(" · ")));
}

function showDestinations(destinations) {
  get("destinations").replaceChildren(...(destinations.length ? destinations.map(destinationCard)
    : [make("p", { className: "card" }, "Nothing has been registered yet.")]));
  const chosen = get("destination").value;
  const names = destinations.map((one) => one.destination).filter(Boolean);
  redraw(get("destination"), names, () => [make("option", { value: "" }, "any destination"),
    ...names.map((name) => make("option", {}, name))]);
  get("destination").value = names.includes(chosen) ? chosen : "";
}

// What runs now.

function runningItem(agent) {
  const done = agent.files_done + agent.files_failed;
  const share = agent.bytes ? agent.bytes_done / agent.bytes : agent.files ? done / agent.files : 0;
  const facts = [`${size(agent.bytes_done)} of ${size(agent.bytes)}`,
    `${numbers.format(done)} of ${numbers.format(agent.files)} files`, `${size(agent.bytes_a_second)}/s`];
  if (agent.seconds_left !== null) facts.push(`${duration(agent.seconds_left)} left`);
  const now = agent.in_progress.map((file) => file.path).join(", ") || agent.last_file || "";
  const meter = make("progress", { max: 1, value: Math.min(share, 1) });
  meter.setAttribute("aria-label", `to ${agent.destination}`);
  return make("li", {},
    make("div", { className: "run" }, make("span", { className: "path" }, agent.destination),
      make("span", { className: "why" }, facts.join(" · "))),
    meter, make("div", { className: "why" }, now),
    agent.last_error ? make("div", { className: "why failed" }, agent.last_error) : null);
}

function showRunning(agents) {
  const busy = agents.filter((agent) => !agent.idle);
  get("running-part").hidden = busy.length === 0;
  get("running").replaceChildren(...busy.map(runningItem));
  clearTimeout(showRunning.timer);
  if (busy.length) showRunning.timer = setTimeout(watchRunning, RUNNING_MS);
}

async function watchRunning() {
  try {
    if (!document.hidden) showRunning((await ask("GET", "/v1/agents")).agents);
  } catch { /* the next refresh says why */ }
}

// What was delivered.

function plot(title, series, values, tell) {
  const most = Math.max(...values, 1);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "plot");
  svg.setAttribute("viewBox", `0 0 ${values.length} 30`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  values.forEach((value, i) => {
    const height = value ? Math.max(value / most * 30, 1) : .4;
    const part = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const shape = { x: i + .1, y: 30 - height, width: .8, height, class: value ? "fill-in_progress" : "fill-none" };
    for (const [name, one] of Object.entries(shape)) part.setAttribute(name, one);
    svg.append(part);
  });
  const all = values.reduce((sum, value) => sum + value, 0);
  const step = series.step_seconds >= 3600 ? "an hour" : "a minute";
  return make("figure", {}, make("figcaption", {}, title, make("strong", {}, tell(all))), svg,
    make("p", { className: "foot" }, `at most ${tell(Math.max(...values))} ${step}`));
}

function showActivity({ hour, day }) {
  const count = (value) => `${numbers.format(value)} ${value === 1 ? "file" : "files"}`;
  redraw(get("activity"), [hour, day], () => [
    plot("last hour", hour, hour.files, count), plot("last hour", hour, hour.bytes, size),
    plot("last day", day, day.files, count), plot("last day", day, day.bytes, size)]);
}

// Batches.

function batchRow(batch) {
  const facts = batch.count === null ? ["its control file cannot be read"]
    : [`to ${batch.destination}`, `${numbers.format(batch.count)} ${batch.count === 1 ? "file" : "files"}`, size(batch.total_bytes)];
  return make("tr", {},
    make("td", {}, button(batch.control_file, () => showBatch(batch), "path")),
    make("td", {}, mark(batch.complete ? "successful" : "in_progress")),
    make("td", {}, facts.join(", ")),
    make("td", { className: "date" }, batch.created ? time(batch.created) : ""));
}

function showBatches({ batches }) {
  get("batches-part").hidden = batches.length === 0;
  redraw(get("batches"), batches, () => batches.map(batchRow));
}

/** The first lines of a control file, which has a line for each file. */
async function firstFiles(id) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(`/v1/batches/${encodeURIComponent(id)}`, { headers, cache: "no-store" });
  if (!response.ok) throw new Refused(response.status, response.statusText);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let done = false; !done && text.split("\n").length < SHOWN_OF_BATCH + 2;) {
    const piece = await reader.read();
    done = piece.done;
    text += piece.value || "";
  }
  reader.cancel().catch(() => {});
  return text.split("\n").slice(1).filter((line) => line.startsWith("{") && /\},?$/.test(line))
    .slice(0, SHOWN_OF_BATCH).map((line) => JSON.parse(line.replace(/,$/, "")));
}

async function showBatch(batch) {
  try {
    const files = await firstFiles(batch.id);
    get("story-title").textContent = batch.control_file;
    get("story-facts").replaceChildren(make("div", {}, `to ${batch.destination || "?"}, by ${batch.agent || "?"}`),
      make("div", {}, `${numbers.format(batch.count || 0)} files, ${size(batch.total_bytes)}`));
    const rest = (batch.count || 0) - files.length;
    get("story-rows").replaceChildren(...files.map((file) => make("li", {},
      button(file.path, () => { get("story").close(); showStory(file.id); }, "path"), make("p", {}, `${size(file.size)}, ${file.checksum}`))),
      rest > 0 ? make("li", {}, `and ${numbers.format(rest)} more`) : "");
    get("story-actions").replaceChildren(button("Close", () => get("story").close()));
    get("story").showModal();
  } catch (error) {
    say(error.message);
  }
}

// Files.

function fileRow(file) {
  const marks = file.deliveries.map((one) => make("div", {}, mark(one.status, one.given_up ? ", given up" : "")));
  return make("tr", {},
    make("td", {}, button(file.path, () => showStory(file.id), "path")),
    make("td", {}, ...(marks.length ? marks : [mark(file.state)])),
    make("td", { className: "number" }, size(file.size)),
    make("td", { className: "date" }, time(file.updated_date)));
}

async function search(more = false) {
  const mine = ++searches;
  const query = new URLSearchParams({ limit: "50" });
  for (const key of ["q", "status", "destination"]) {
    if (get(key).value) query.set(key, get(key).value);
  }
  if (more && cursor) query.set("cursor", cursor);
  const page = await ask("GET", `/v1/files?${query}`);
  if (mine !== searches) return;
  if (more) get("files").append(...page.files.map(fileRow));
  else redraw(get("files"), page.files, () => page.files.map(fileRow));
  get("no-files").hidden = get("files").childElementCount > 0;
  cursor = page.next || "";
  get("more").hidden = !cursor;
}

// A file's story.

function storyRow(row) {
  if (row.transfer_status) {
    return { date: row.transfer_date, item: make("li", {}, mark(row.transfer_status), time(row.transfer_date),
      make("p", {}, [`to ${row.destination || "?"}`, row.attempt ? `attempt ${row.attempt}` : "",
        row.remote_path ? `as ${row.remote_path}` : ""].filter(Boolean).join(", ")),
      row.error ? make("p", { className: "failed" }, row.error.message || "") : null) };
  }
  return { date: row.updated_date, item: make("li", {}, mark(row.state || "ready"), time(row.updated_date),
    make("p", {}, [row.source ? `by ${row.source}` : "", row.reason].filter(Boolean).join(": "))) };
}

async function showStory(id) {
  try {
    const target = `/v1/files/${encodeURIComponent(id)}`;
    const [file, history] = await Promise.all([ask("GET", target), ask("GET", `${target}/history`)]);
    get("story-title").textContent = file.path;
    get("story-facts").replaceChildren(
      make("div", {}, `${size(file.size)}${file.landing ? `, in ${file.landing}` : ""}`),
      make("div", {}, file.checksum), make("div", {}, file.id));
    const rows = [...history.file, ...history.transfers].map(storyRow).sort((one, two) => one.date < two.date ? -1 : one.date > two.date ? 1 : 0);
    get("story-rows").replaceChildren(...rows.map((row) => row.item));
    const has = (status) => mayManage && file.deliveries.some((one) => one.status === status);
    const close = () => get("story").close();
    const actions = [
      has("failed") ? button("Retry", () => { close(); act("POST", `${target}/retry`, `${file.path} is pending again`); }) : null,
      has("successful") ? button("Send again", () => { close(); act("POST", `${target}/resend`, `${file.path} is to be sent again`); }) : null,
      button("Close", close)];
    get("story-actions").replaceChildren(...actions.filter(Boolean));
    get("story").showModal();
  } catch (error) {
    say(error.message);
  }
}

// The whole.

async function refresh() {
  try {
    const [status, failed, quarantine, running, activity, batches] = await Promise.all([ask("GET", "/v1/status"),
      ask("GET", `/v1/files?status=failed&limit=${SHOWN_TROUBLE}`), ask("GET", "/v1/quarantine"),
      ask("GET", "/v1/agents"), ask("GET", "/v1/activity"), ask("GET", "/v1/batches?limit=8")]);
    mayManage = status.may_manage;
    const failures = status.destinations.reduce((sum, one) => sum + one.files.failed, 0);
    showDestinations(status.destinations);
    showRunning(running.agents);
    showActivity(activity);
    showBatches(batches);
    showTrouble(failed.files, quarantine.files, Math.max(failures, failed.files.length) + quarantine.files.length);
    get("login").hidden = true;
    get("content").hidden = false;
    get("state").textContent = `as of ${new Date(status.time).toLocaleTimeString()}${
      status.damaged_rows ? `, ${status.damaged_rows} rows of the metastore cannot be read` : ""}`;
    if (!cursor || get("files").childElementCount <= 50) await search();
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      get("content").hidden = true;
      get("login").hidden = false;
      get("login-error").textContent = token ? error.message : "";
      get("state").textContent = "";
      token = "";
    } else {
      get("state").textContent = error instanceof Refused ? error.message : "The service does not answer.";
    }
  }
}

/** Refreshes as soon as something has changed. EventSource could not send the token. */
async function follow() {
  let last = "";
  for (;;) {
    try {
      if (!get("login").hidden || get("content").hidden) throw new Error("not yet");
      const headers = { "Last-Event-ID": last };
      if (token) headers.Authorization = `Bearer ${token}`;
      const response = await fetch("/v1/events", { headers, cache: "no-store" });
      if (!response.ok) throw new Refused(response.status, response.statusText);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const ids = [...value.matchAll(/^id: (.*)$/gm)];
        if (!ids.length) continue;
        last = ids.at(-1)[1];
        if (!document.hidden) await refresh();
      }
    } catch {
      await new Promise((resolve) => { setTimeout(resolve, COME_AGAIN_MS); });
    }
  }
}

get("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = get("token").value.trim();
  get("token").value = "";
  refresh();
});
get("search").addEventListener("submit", (event) => event.preventDefault());
get("search").addEventListener("input", () => {
  clearTimeout(search.timer);
  search.timer = setTimeout(() => search().catch((error) => say(error.message)), 200);
});
get("more").addEventListener("click", () => search(true).catch((error) => say(error.message)));
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
refresh().then(follow);
setInterval(() => {
  if (!document.hidden && get("login").hidden) refresh();
}, REFRESH_MS);
