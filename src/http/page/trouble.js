// What needs somebody, the worst first, with what to do about it.
//
// WHAT.does is what the page can do: mayManage, act(method, target, done) and showStory(id).

import { age, button, countOf, dates, duration, get, make, mark, numbers, redraw, timeIn } from "./elements.js";

const SHOWN = 20;

/** Nothing is deleted before somebody has said so. */
function confirmDrop(file, act) {
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

function item(className, name, lines, ...rest) {
  return make("li", { className },
    make("div", { className: "what" }, name, ...lines.map((line) => make("div", { className: "why" }, ...[line].flat()))), ...rest);
}

const named = (text) => make("span", { className: "path" }, text);

/** Rows of the tables that tell nobody anything. */
function rowItems({ damaged_rows: damaged, orphaned_rows: orphaned }) {
  const rows = (count, one, many) => `${numbers.format(count)} ${count === 1 ? one : many}`;
  const remedy = "“ferry doctor” says what to do.";
  return [
    damaged ? item("", named("metastore"), [rows(damaged, "row cannot be read; it is kept", "rows cannot be read; they are kept"), remedy], mark("damaged")) : null,
    orphaned ? item("", named("metastore"), [rows(orphaned, "row of transfer_logs tells of a file that file_registry does not have",
      "rows of transfer_logs tell of files that file_registry does not have"), remedy], mark("incomplete")) : null,
  ].filter(Boolean);
}

function untakenItem({ files, path, message, since }) {
  const what = `${numbers.format(files)} delivered ${files === 1 ? "file" : "files"} could not be archived or deleted`;
  return item("held", named(path || "Delivered files"), [`${what}, for ${age(since)}: ${brief(message, path)}`,
    "The next run of an agent tries again."], mark("not_taken_away"));
}

function unreachableItem(outage) {
  const left = (Date.parse(outage.next_try) - Date.now()) / 1000;
  const next = left > 0 ? `An agent tries again in ${duration(left)}.`
    : `Last tried ${age(outage.last_try)} ago; the next run of an agent tries again.`;
  return item("", named(outage.destination),
    [`For ${age(outage.since)}, since ${dates.format(new Date(outage.since))}: ${outage.message}`,
      `${next} “ferry doctor” on the agent’s host says what to fix.`], mark("unreachable"));
}

/** What to do about files that did not come: whom to ask, or where to look. */
function lateRemedy(day, unreachable) {
  if (day.landed < day.count) {
    const where = day.landing.length ? `landing area ${day.landing.join(" or ")}` : "any landing area";
    return `Ask who sends ${day.landed ? "the others" : "them"}: they have not reached ${where}.`;
  }
  if (!day.lacking.length) return "No route takes them to a destination: see “unrouted” below.";
  const away = unreachable.filter((outage) => day.lacking.includes(outage.destination)).map((outage) => outage.destination);
  const where = `Not at ${day.lacking.join(" and ")} yet`;
  return away.length ? `${where}; ${away.join(" and ")} cannot be reached, see above.` : `${where}: is an agent running for it?`;
}

function lateItem(day, unreachable) {
  const what = [countOf(day.count), day.match.join(" or ")].filter(Boolean).join(" ");
  return item("", named(day.name),
    [[`${what}, due `, timeIn(day.timezone, day.deadline), `, ${age(day.deadline)} ago: ${numbers.format(day.landed)} landed, ${
      numbers.format(day.arrived)} at every destination`], lateRemedy(day, unreachable)], mark("late"));
}

function failedItem(file, does) {
  const failed = file.deliveries.filter((one) => one.status === "failed");
  const why = failed.map((one) => `${one.destination || "a destination"}: ${one.error ? brief(one.error.message, file.path) : ""}`);
  return item("", button(file.path, () => does.showStory(file.id), "path"), [why.join("; ")],
    mark("failed", isGivenUp(file) ? ", given up" : ", will be tried again"),
    does.mayManage ? button("Retry", () => does.act("POST", `/v1/files/${encodeURIComponent(file.id)}/retry`,
      `${file.path} is pending again`)) : "");
}

function isGivenUp(file) {
  return file.deliveries.some((one) => one.status === "failed" && one.given_up);
}

function heldItem(file, does) {
  const actions = does.mayManage ? [
    file.kind === "file" && file.is_there ? button("Release", () => does.act("POST",
      `/v1/quarantine/${encodeURIComponent(file.id)}/release`, `${file.path} is released`)) : "",
    button("Delete…", () => confirmDrop(file, does.act), "danger")] : [];
  return item("held",
    file.registered ? button(file.path, () => does.showStory(file.id), "path") : named(file.path),
    [`${file.reason}; in landing area ${file.landing}, for ${age(file.since)}`], mark("quarantined"), ...actions);
}

/** FAILED: the newest of the files whose deliveries have failed. */
export function showTrouble({ status, failed, held, does }) {
  const { unreachable, late, untaken } = status;
  const failures = Math.max(status.destinations.reduce((sum, one) => sum + one.files.failed, 0), failed.length);
  const rest = failures - failed.length + Math.max(held.length - SHOWN, 0);
  const worstFirst = [...failed].sort((one, two) => isGivenUp(two) - isGivenUp(one));
  const shownHeld = held.slice(0, SHOWN);
  const rows = rowItems(status);
  const total = rows.length + unreachable.length + late.length + failures + (untaken ? 1 : 0) + held.length;
  redraw(get("trouble"), [status.damaged_rows, status.orphaned_rows, unreachable, late, worstFirst, untaken, shownHeld, rest], () => [
    ...rows, ...unreachable.map(unreachableItem), ...late.map((day) => lateItem(day, unreachable)),
    ...worstFirst.map((file) => failedItem(file, does)), untaken ? untakenItem(untaken) : "",
    ...shownHeld.map((file) => heldItem(file, does)),
    rest > 0 ? make("li", { className: "rest" },
      `and ${numbers.format(rest)} more: choose “failed” or “quarantined” below`) : ""]);
  get("trouble-count").textContent = total > 0 ? numbers.format(total) : "";
  get("calm").hidden = total > 0;
  document.title = total > 0 ? `(${total}) ferry` : "ferry";
}
