// Elements of the page, and how numbers, sizes and times are written.

export const get = (id) => document.getElementById(id);

/** An element; whatever comes from outside becomes text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const numbers = new Intl.NumberFormat();
export const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; ++unit) bytes /= 1024;
  return `${bytes >= 100 || unit === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

export function countOf(files) {
  return `${numbers.format(files)} ${files === 1 ? "file" : "files"}`;
}

export function age(date) {
  return duration(Math.max(0, (Date.now() - Date.parse(date)) / 1000));
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function time(date) {
  return make("time", { dateTime: date, title: date }, dates.format(new Date(date)));
}

/** As the clocks of a zone show it; without one, as those of whoever looks. */
export function timeIn(zone, date) {
  const style = zone ? { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit",
    timeZone: zone, timeZoneName: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return make("time", { dateTime: date, title: date }, new Intl.DateTimeFormat(undefined, style).format(new Date(date)));
}

export function mark(status, suffix = "") {
  return make("span", { className: `mark ${status}` }, status.replaceAll("_", " ") + suffix);
}

export function say(text) {
  get("toast").textContent = text;
  get("toast").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { get("toast").hidden = true; }, 5000);
}

export function button(label, onclick, className = "") {
  return make("button", { type: "button", className, onclick }, label);
}

/** Draws anew only what has changed, so that nobody loses the place where the keyboard is. */
export function redraw(container, data, draw) {
  const key = JSON.stringify(data);
  const isBusy = container.contains(document.activeElement);
  if (isBusy && container.drawn === key) return;
  container.drawn = key;
  container.replaceChildren(...draw());
}
