// The connection: one stream of server-sent events, read by fetch so that the token travels in a header and never in an address.
import { byId, clock, draw, duration, say } from "./live-draw.js";

const TOKEN = "funnelwatch-token";
const SILENCE = 15_000; // ms without a word after which the connection counts as lost
const OLD = 15_000; // age (ms) of figures that are called old
const HIDDEN = 60_000; // ms after which a page that nobody sees stops asking
const PAUSES = [1, 2, 4, 8, 15]; // seconds before each new attempt

let picture = null; // the last one
let ahead = 0; // the worker's clock minus this one's, ms
let connection = null;
let attempt = 0;
let retry = 0; // when the next attempt is due (ms), 0 = connected or connecting
let retryTimer = 0;
let heard = 0;
let whole = false;
let hiddenTimer = 0;

const now = () => Date.now() + ahead;
const asked = () => new URLSearchParams([...new URLSearchParams(location.search)].filter(([key]) => ["funnel", "by", "period"].includes(key)));

/** Headers carry bytes: the token's as UTF-8, whatever it is made of. */
const bearer = (token) => `Bearer ${String.fromCharCode(...new TextEncoder().encode(token))}`;

async function connect() {
  disconnect();
  const own = connection = new AbortController();
  const token = sessionStorage.getItem(TOKEN);
  heard = Date.now();
  try {
    const answer = await fetch(`live?${asked()}`, {
      headers: { Accept: "text/event-stream", ...(token && { Authorization: bearer(token) }) },
      cache: "no-store", credentials: "same-origin", redirect: "error", signal: own.signal,
    });
    if (answer.status === 401) return logIn(token !== null);
    if (!answer.ok) throw new Error(answer.status === 503 ? "Too many look at this page" : `The worker answers ${answer.status}`);
    for await (const message of messages(answer.body)) {
      if (own !== connection) return;
      attempt = 0;
      heard = Date.now();
      take(JSON.parse(message));
    }
    throw new Error("Connection lost");
  } catch (error) {
    if (own === connection) tryAgain(error instanceof TypeError || error.name === "AbortError" ? "Connection lost" : error.message);
  }
}

/** The data of each event of a stream. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
        if (data) yield data;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function disconnect() {
  clearTimeout(retryTimer);
  retry = 0;
  const before = connection;
  connection = null;
  before?.abort();
}

function tryAgain(reason) {
  disconnect();
  const seconds = PAUSES[Math.min(attempt++, PAUSES.length - 1)] * (0.8 + 0.4 * Math.random());
  retry = Date.now() + seconds * 1000;
  retryTimer = setTimeout(connect, seconds * 1000);
  show("lost", `${reason}; trying again`);
}

function take(message) {
  ahead = message.now - Date.now();
  if (message.picture) {
    const first = picture === null;
    picture = message.picture;
    byId("login").hidden = true;
    byId("loading").hidden = true;
    byId("choice").hidden = byId("figures").hidden = false;
    byId("main").hidden = false;
    byId("main").setAttribute("aria-busy", "false");
    draw(picture, now(), whole);
    const { funnel, by, period } = picture.choice;
    const address = new URLSearchParams({ funnel, by, period });
    if (!picture.note && String(asked()) !== String(address)) history.replaceState(null, "", `?${address}`);
    if (first) byId("choice").scrollIntoView?.({ block: "nearest" });
  }
  beat();
}

function show(state, text) {
  byId("pulse").dataset.state = state;
  say(byId("state"), text);
}

/** What the head line says; once a second. */
function beat() {
  const age = picture?.as_of ? now() - picture.as_of : null;
  if (!byId("login").hidden) return;
  if (retry) {
    say(byId("age"), picture?.as_of ? `in ${duration(retry - Date.now())}; figures of ${clock(picture.as_of, picture.zone)}` : `in ${duration(retry - Date.now())}`);
    return;
  }
  if (connection && Date.now() - heard > SILENCE) return tryAgain("The worker is silent");
  if (!picture || !connection) return;
  const all = picture.workers.length, workers = picture.workers.filter((worker) => worker.state !== "silent").length;
  if (!workers) show("stale", "No worker is heard");
  else if (age > OLD) show("stale", "Figures are old");
  else if (workers < all) show("stale", `Live, but ${workers} of ${all} workers`);
  else show("live", `Live, ${workers} ${workers === 1 ? "worker" : "workers"}`);
  say(byId("age"), age === null ? "" : age > OLD ? `as of ${clock(picture.as_of, picture.zone)}, ${duration(age)} ago` : `as of ${clock(picture.as_of, picture.zone)}`);
}

function logIn(refused) {
  disconnect();
  picture = null;
  sessionStorage.removeItem(TOKEN);
  byId("main").hidden = byId("choice").hidden = true;
  byId("login").hidden = false;
  show("waiting", "A token is needed");
  say(byId("age"), "");
  byId("login-error").textContent = refused ? "That token was not accepted." : "";
  byId("token").value = "";
  byId("token").focus();
}

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token").value.trim());
  byId("token").value = "";
  show("waiting", "Connecting …");
  connect();
});

byId("choice").addEventListener("change", () => {
  const address = new URLSearchParams({
    funnel: byId("funnel").value, by: byId("by").value,
    period: document.querySelector("input[name=period]:checked").value,
  });
  if (picture && address.get("funnel") !== picture.choice.funnel) address.delete("by");
  history.pushState(null, "", `?${address}`);
  whole = false;
  byId("main").setAttribute("aria-busy", "true");
  connect();
});
byId("choice").addEventListener("submit", (event) => event.preventDefault());

byId("more").addEventListener("click", () => {
  whole = true;
  draw(picture, now(), whole);
  byId("segments-scroll").focus();
});

addEventListener("popstate", connect);
addEventListener("online", connect);
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(() => { if (byId("login").hidden) disconnect(); }, HIDDEN);
  else if (!connection && !retry && byId("login").hidden) connect();
});

setInterval(beat, 1000);
connect();
