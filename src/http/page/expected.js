// Files that should come today.

import { get, make, numbers, redraw, timeIn } from "./elements.js";

const LOOKS = { awaited: "pending", arrived: "successful", late: "failed", "came late": "quarantined" };

function dayRow(day) {
  const of = (files) => `${numbers.format(files)} of ${numbers.format(day.count)}`;
  return make("tr", {},
    make("td", {}, make("span", { className: "path" }, day.name),
      make("div", { className: "why" }, [day.match.join(", "), day.landing.join(", ")].filter(Boolean).join(" in "))),
    make("td", {}, make("span", { className: `mark ${LOOKS[day.state]}` }, day.state)),
    make("td", {}, `${of(day.landed)} landed, ${of(day.arrived)} arrived`),
    make("td", { className: "date" }, "by ", timeIn(day.timezone, day.deadline)));
}

export function showExpected({ expectations }) {
  get("expected-part").hidden = expectations.length === 0;
  redraw(get("expected"), expectations, () => expectations.map(dayRow));
}
