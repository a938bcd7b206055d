import { age, button, countOf, duration, get, make, mark, numbers, redraw, say, size, time } from "./elements.js";
import { showExpected } from "./expected.js";
import { Refused, ask, authorization, hasToken, useToken } from "./service.js";
import { showTrouble } from "./trouble.js";

const REFRESH_MS = 10000;
const RUNNING_MS = 1000;
const COME_AGAIN_MS = 3000;
const SHOWN_TROUBLE = 20;
const SHOWN_OF_BATCH = 100;
let mayManage = false;
let cursor = "";
let searches = 0;      // answers to earlier searches are dropped

async function act(method, target, done) {
  try {
    await ask(method, target);
    say(done);
  } catch (error) {
    say(error.message);
  }
  await refresh();
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
    `${numbers.format(done)} of ${countOf(agent.files)}`, `${size(agent.bytes_a_second)}/s`];
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
  redraw(get("activity"), [hour, day], () => [
    plot("last hour", hour, hour.files, countOf), plot("last hour", hour, hour.bytes, size),
    plot("last day", day, day.files, countOf), plot("last day", day, day.bytes, size)]);
}

// Batches.

function batchRow(batch) {
  const facts = batch.count === null ? ["its control file cannot be read"]
    : [`to ${batch.destination}`, countOf(batch.count), size(batch.total_bytes)];
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
  const response = await fetch(`/v1/batches/${encodeURIComponent(id)}`, { headers: authorization(), cache: "no-store" });
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
      make("div", {}, `${countOf(batch.count || 0)}, ${size(batch.total_bytes)}`));
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
  const chosen = ["q", "status", "destination"].filter((key) => get(key).value);
  for (const key of chosen) query.set(key, get(key).value);
  if (more && cursor) query.set("cursor", cursor);
  const page = await ask("GET", `/v1/files?${query}`);
  if (mine !== searches) return;
  if (more) get("files").append(...page.files.map(fileRow));
  else redraw(get("files"), page.files, () => page.files.map(fileRow));
  get("no-files").textContent = chosen.length ? "No file is like this." : "Nothing has been registered yet.";
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
    const [status, failed, quarantine, running, activity, batches, expected] = await Promise.all([ask("GET", "/v1/status"),
      ask("GET", `/v1/files?status=failed&limit=${SHOWN_TROUBLE}`), ask("GET", "/v1/quarantine"),
      ask("GET", "/v1/agents"), ask("GET", "/v1/activity"), ask("GET", "/v1/batches?limit=8"),
      ask("GET", "/v1/expectations")]);
    mayManage = status.may_manage;
    showDestinations(status.destinations);
    showRunning(running.agents);
    showActivity(activity);
    showBatches(batches);
    showExpected(expected);
    showTrouble({ status, failed: failed.files, held: quarantine.files, does: { mayManage, act, showStory } });
    get("login").hidden = true;
    get("content").hidden = false;
    get("state").textContent = `as of ${new Date(status.time).toLocaleTimeString()}`;
    if (!cursor || get("files").childElementCount <= 50) await search();
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      get("content").hidden = true;
      get("login").hidden = false;
      get("login-error").textContent = hasToken() ? error.message : "";
      get("state").textContent = "";
      useToken("");
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
      const headers = { "Last-Event-ID": last, ...authorization() };
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
  useToken(get("token").value.trim());
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
