// Draws a picture (streams/live/picture.py) into the page. Every text becomes a text node: no markup is ever made from data.

const COUNT = new Intl.NumberFormat("en");
const REASONS = {
  step_timeout: "next stage too late", window_timeout: "window passed", session_end: "session ended",
  excluded: "excluded", broken: "broken off",
};
const BEFORE = {
  "5m": "in the 5 minutes before", "15m": "in the 15 minutes before", "1h": "in the hour before",
  today: "yesterday by this time", "24h": "in the 24 hours before",
};
const COURSE = { "5m": "Last hour", "15m": "Last hour", "1h": "Last hour", today: "Last 24 hours", "24h": "Last 24 hours" };
const SIGNS = { fell: "▼", rose: "▲" };
const MOST_SEGMENTS = 25;
const MOST_ALERTS = 8;

export const byId = (id) => document.getElementById(id);
export const count = (n) => COUNT.format(n);

/** 12.3 %; only all is 100 %, only none is 0 %. */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  let tenths = Math.round(share * 1000);
  if (share > 0 && share < 1) tenths = Math.min(Math.max(tenths, 1), 999);
  return `${COUNT.format(Math.floor(tenths / 10))}.${tenths % 10} %`;
}

export function clock(ms, zone, seconds = true) {
  const form = { timeZone: zone, hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) };
  return new Intl.DateTimeFormat("en-GB", form).format(ms);
}

function day(ms, zone, now) {
  const form = new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "short", day: "numeric", month: "short" });
  return form.format(ms) === form.format(now) ? "" : `${form.format(ms)}, `;
}

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

function money(amount, currency) {
  if (/^[A-Z]{3}$/.test(currency)) {
    try {
      const whole = Number(amount) >= 10_000 ? { maximumFractionDigits: 0 } : {};
      return new Intl.NumberFormat("en", { style: "currency", currency, ...whole }).format(amount);
    } catch { /* no such currency here */ }
  }
  return `${new Intl.NumberFormat("en", { maximumFractionDigits: 2 }).format(amount)} ${currency}`.trim();
}

/** An element; children are elements or texts. Names from outside go through `name`. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

/** A text from outside: its direction can't turn what stands beside it. */
const name = (text) => el("bdi", {}, text);
const unseen = (text) => el("span", { class: "hidden" }, text);

/** Sets a text only if it is another one, so that nothing is announced twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const drawn = new WeakMap();
/** Draws into an element only if what it shows has changed. */
function redraw(element, what, children) {
  const key = JSON.stringify(what);
  if (drawn.get(element) === key) return;
  drawn.set(element, key);
  element.replaceChildren(...children());
}

function changed(change, now, before, words) {
  const parts = [];
  if (change) parts.push(unseen(change === "fell" ? "fell to " : "rose to "), el("span", { "aria-hidden": "true" }, `${SIGNS[change]} `));
  parts.push(percent(now));
  if (before !== null && before !== undefined && now !== null) parts.push(el("span", { class: "was" }, `was ${percent(before)}${words}`));
  return parts;
}

function options(select, values, chosen, label) {
  redraw(select, [values, "options"], () => values.map((value) => {
    const option = el("option", { value });
    option.textContent = label(value);
    return option;
  }));
  if (select.value !== chosen && document.activeElement !== select) select.value = chosen;
  else if (!values.includes(select.value)) select.value = chosen;
}

export function draw(picture, now, wholeSegments) {
  const { choice, stages } = picture;
  document.title = `${choice.funnel} – funnelwatch`;
  say(byId("site"), picture.site);
  say(byId("title"), choice.funnel);
  options(byId("funnel"), picture.funnels, choice.funnel, (value) => value);
  options(byId("by"), ["", ...picture.dimensions], choice.by, (value) => value.replace("×", " × ") || "nothing");
  for (const radio of document.querySelectorAll("input[name=period]")) radio.checked = radio.value === choice.period;
  say(byId("note"), [picture.note, picture.problem && `${picture.problem}; these are the last figures known.`].filter(Boolean).join(" "));
  drawAlerts(picture, now);
  drawKey(picture);
  drawStages(picture, now);
  drawSegments(picture, wholeSegments);
  drawStream(picture, now);
  say(byId("empty"), stages[0].reached ? "" : `Nobody has entered “${choice.funnel}” since ${clock(picture.since, picture.zone, false)}. The page will move by itself when somebody does.`);
}

function drawAlerts({ alerts, choice, zone }, now) {
  const lines = {
    off: "Not shown: the settings name no Alertmanager ([web] alertmanager).",
    asking: "Asking Alertmanager …",
    known: alerts.items.length ? "" : "None are firing.",
    failed: `Unknown: ${alerts.problem}.`,
  };
  say(byId("alerts-line"), lines[alerts.state]);
  const items = [...alerts.items].sort((a, b) => (b.funnel === choice.funnel) - (a.funnel === choice.funnel));
  redraw(byId("alerts"), [items, choice.funnel], () => [...items.slice(0, MOST_ALERTS).map((alert) => {
    const where = [alert.funnel !== choice.funnel && alert.funnel, alert.where].filter(Boolean).join(": ");
    return el("li", { "data-severity": alert.severity },
      el("span", { class: "severity" }, name(alert.severity ? alert.severity[0].toUpperCase() + alert.severity.slice(1) : "Alert")),
      el("span", { class: "text" }, name(alert.summary), where ? el("span", { class: "sub" }, name(where)) : ""),
      el("span", { class: "time" }, `since ${day(alert.since, zone, now)}${clock(alert.since, zone, false)}`));
  }), ...items.length > MOST_ALERTS ? [el("li", {}, el("span", { class: "text" }, `and ${count(items.length - MOST_ALERTS)} more in Alertmanager`))] : []]);
  const known = byId("alerts-news").dataset.known;
  const keys = alerts.items.map((alert) => alert.name + alert.funnel + alert.where + alert.since);
  if (alerts.state === "known") {
    const before = known === undefined ? null : JSON.parse(known);
    const fresh = before === null ? [] : alerts.items.filter((_, index) => !before.includes(keys[index]));
    if (fresh.length) say(byId("alerts-news"), `New alert: ${fresh.map((alert) => alert.summary).join("; ")}`);
    byId("alerts-news").dataset.known = JSON.stringify(keys);
  }
}

function drawKey(picture) {
  const { choice, stages } = picture;
  const rows = [
    ["Started", count(stages[0].reached), picture.compared ? `${count(stages[0].reached_before)} ${BEFORE[choice.period]}` : "", ""],
    ["Converted", count(picture.converted), picture.compared ? `${count(picture.converted_before)} ${BEFORE[choice.period]}` : "", ""],
    ["Conversion", percent(picture.rate), picture.rate_before === null ? "" : `${percent(picture.rate_before)} ${BEFORE[choice.period]}`, picture.change],
    ["Under way now", picture.open === null ? "–" : count(picture.open), picture.recovered ? `${count(picture.recovered)} came back after a drop-off` : "", ""],
  ];
  if (picture.money.length) {
    const [{ currency, earned, refunded }, ...others] = picture.money;
    const more = [Number(refunded) && `${money(refunded, currency)} given back`, ...others.map((other) => `+ ${money(other.earned, other.currency)}`)];
    rows.push(["Revenue", money(earned, currency), more.filter(Boolean).join(", "), ""]);
  }
  redraw(byId("key"), rows, () => rows.map(([term, figure, more, change]) => el("div", {},
    el("dt", {}, term),
    el("dd", { class: `figure ${change}` }, change ? unseen(`${change} to `) : "", change ? el("span", { "aria-hidden": "true" }, `${SIGNS[change]} `) : "", figure),
    el("dd", { class: "more" }, more))));
}

function drawStages(picture, now) {
  const { choice, stages, expectation } = picture;
  const expects = expectation === "known";
  say(byId("since"), `Since ${day(picture.since, picture.zone, now)}${clock(picture.since, picture.zone, false)}, ${picture.zone}.${picture.compared ? ` “Was”: ${BEFORE[choice.period]}.` : ""}`);
  redraw(byId("stages"), [stages, choice, expects], () => [
    el("thead", {}, el("tr", {}, ...[
      ["Stage", ""], ["Reached", "reach"], ["From start", "number"], ["From previous", "number"],
      ...(expects ? [["Expected", "number"]] : []), [COURSE[choice.period], ""], ["Dropped off here", "lost"],
    ].map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
    el("tbody", {}, ...stages.map((stage, level) => stageRow(stage, level, stages, expects, choice))),
  ]);
  const lines = {
    absent: "Expected conversions: none. No worker that is heard computes an expectation of this funnel; rates are compared with the time before.",
    learning: `Expected conversions: still learning what is usual${picture.ready_at ? `, until ${day(picture.ready_at, picture.zone, now)}${clock(picture.ready_at, picture.zone, false)} or a little later` : ""}. Until then rates are compared with the time before.`,
    known: "",
  };
  say(byId("expectation"), lines[expectation]);
}

function stageRow(stage, level, stages, expects, choice) {
  const lost = Object.values(stage.lost).reduce((a, b) => a + b, 0);
  const cell = (kind, label, ...children) => {
    const td = el("td", { class: kind, "data-label": label }, ...children);
    if (!children.length) td.className += " none";
    return td;
  };
  const track = el("span", { class: "track", "aria-hidden": "true" }, el("i"));
  track.firstChild.style.setProperty("--share", Math.min(1, stage.of_start ?? 0));
  const more = [stage.optional && "optional", stage.target !== null && `target ${percent(stage.target)}`].filter(Boolean).join(", ");
  const row = el("tr", {},
    el("th", { scope: "row" }, name(stage.name), stage.indicator ? el("span", { class: "sub" }, name(stage.indicator)) : "", more ? el("span", { class: "sub" }, more) : ""),
    cell("reach", "", el("b", {}, count(stage.reached)), track),
    cell("number", "From start", percent(stage.of_start)),
    cell(`number ${stage.change}`, "From previous", ...(level ? changed(stage.change, stage.step, stage.step_before, "") : [])));
  if (expects) {
    row.append(cell("number", "Expected", ...(stage.expected === null ? stage.learning ? [el("span", { class: "sub" }, "learning")] : [] : [
      count(Math.round(stage.expected)), el("span", { class: "was" }, `${count(stage.converted)} came`)])));
  }
  row.append(
    cell("course", COURSE[choice.period], ...(level ? [spark(stage.course), unseen(inWords(stage.course))] : [])),
    cell(lost ? "lost" : "lost zero", "Dropped off here", ...(level === stages.length - 1 ? [] : [count(lost), lost ? el("ul", {}, ...Object.entries(stage.lost).map(
      ([reason, n]) => el("li", {}, `${count(n)} ${REASONS[reason] ?? reason}`))) : ""])));
  return row;
}

const SVG = "http://www.w3.org/2000/svg";

function spark(course) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const top = Math.max(0.01, ...course.filter((share) => share !== null)) * 1.05;
  let path = "", open = false;
  course.forEach((share, index) => {
    if (share === null) { open = false; return; }
    const x = (100 * index / Math.max(1, course.length - 1)).toFixed(2), y = (29 - 28 * share / top).toFixed(2);
    path += open ? `L${x} ${y}` : `M${x} ${y}h0.01`;
    open = true;
  });
  const ground = document.createElementNS(SVG, "line");
  for (const [key, value] of Object.entries({ x1: 0, x2: 100, y1: 29.5, y2: 29.5 })) ground.setAttribute(key, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(ground, line);
  return svg;
}

function inWords(course) {
  const known = course.filter((share) => share !== null);
  return known.length ? `between ${percent(Math.min(...known))} and ${percent(Math.max(...known))}` : "nothing yet";
}

function drawSegments({ choice, segments, stages, compared }, whole) {
  byId("segments-section").hidden = !choice.by;
  if (!choice.by) return;
  say(byId("segments-title"), `By ${choice.by.replace("×", " × ")}`);
  const fell = segments.flatMap((segment) => segment.changes.flatMap((change, level) =>
    change === "fell" ? [`${segment.value.replace("×", " × ")} → ${stages[level].name}`] : []));
  const named = `${fell.slice(0, 3).join(", ")}${fell.length > 3 ? ` and ${fell.length - 3} more` : ""}`;
  redraw(byId("segments-line"), [fell, segments.length], () => !segments.length ? ["Nothing was counted in this period."]
    : fell.length ? [el("span", { class: "fell" }, el("span", { "aria-hidden": "true" }, "▼ "), "Fell: ", name(named), ".")]
    : ["Share of those who reached the stage before."]);
  const shown = whole ? segments : segments.slice(0, MOST_SEGMENTS);
  redraw(byId("segments"), [shown, stages.map((stage) => stage.name), compared], () => !segments.length ? [] : [
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, choice.by.replace("×", " × ")),
      el("th", { scope: "col", class: "number" }, name(stages[0].name)),
      ...stages.slice(1).map((stage) => el("th", { scope: "col", class: "number" }, "→ ", name(stage.name))),
      el("th", { scope: "col", class: "number" }, "From start to end"))),
    el("tbody", {}, ...shown.map((segment) => el("tr", {},
      el("th", { scope: "row" }, name(segment.value.replace("×", " × "))),
      el("td", { class: "number" }, count(segment.reached[0])),
      ...stages.slice(1).map((_, index) => el("td", { class: `number ${segment.changes[index + 1]}` },
        ...changed(segment.changes[index + 1], segment.steps[index + 1], segment.changes[index + 1] ? segment.steps_before[index + 1] : null, ""))),
      el("td", { class: "number" }, percent(segment.of_start))))),
  ]);
  const more = byId("more");
  more.hidden = whole || segments.length <= MOST_SEGMENTS;
  say(more, `Show all ${count(segments.length)}`);
}

function drawStream(picture, now) {
  const { workers, zone, events } = picture;
  const live = workers.filter((worker) => worker.state !== "silent");
  const silent = workers.filter((worker) => worker.state === "silent");
  const differs = workers.filter((worker) => worker.state === "differs");
  const read = Object.values(events).reduce((a, b) => a + b, 0);
  const parts = ["matched", "ignored", "duplicate", "late", "bot", "invalid"].filter((outcome) => events[outcome]);
  const rows = [
    ["Workers", [count(live.length)], [
      ...silent.map((worker) => ["warn", `${worker.name} is silent since ${clock(worker.at, zone)}; its counts stop there until another takes over`]),
      ...differs.map((worker) => ["warn", `${worker.name} runs another definition of this funnel; its counts are not in these figures`])]],
    ["Waiting in Kafka", [picture.lag === null ? "unknown" : `${count(picture.lag)} ${picture.lag === 1 ? "record" : "records"}`], []],
    ["Event time reached", [picture.watermark === null ? "unknown" : `${day(picture.watermark, zone, now)}${clock(picture.watermark, zone)}`],
      picture.watermark === null ? [] : [["", `${duration(now - picture.watermark)} behind the clock`]]],
    ["Records read in the period", [count(read)], parts.length ? [["", parts.map((outcome) => `${count(events[outcome])} ${outcome}`).join(", ")]] : []],
  ];
  redraw(byId("stream"), rows, () => rows.map(([term, values, notes]) => el("div", {},
    el("dt", {}, term), ...values.map((value) => el("dd", {}, value)),
    ...notes.map(([kind, text]) => el("dd", { class: `sub ${kind}` }, name(text))))));
}
