// The live page: holds what the coordinator says of its fleet, and draws the view that the address
// names. What comes by the stream of events changes the state; views (views.js) only read it.
import { seconds } from "/charts.js";
import { fleetView, headline, roundView, roundsView, userView } from "/views.js";

const EVENTS_MAX = 300;
const DRAW_EVERY_MS = 400;

const whole = (span_s) => span_s < 100 ? `${Math.max(1, Math.round(span_s))} s` : seconds(span_s);

const main = document.getElementById("main");
const link = document.getElementById("link");

const app = {
  head: null, nodes: new Map(), events: [], rounds: new Map(), serverIndex: new Map(),
  pages: new Map(), filters: new Map(),
  asked: new Map(),  // Answers about rounds and users, by their address,
  before: new Map(),  // and the last one of each that was none of an error.
  received: 0,
  version: 0,  // Of the nodes.
  drawnMap: null,
  sized: [],
  nodesOf: (prefix) => [...app.nodes.values()].filter((node) => node.node.startsWith(prefix)), 
  parts: () => app.nodesOf("user/").map((node) => node.part).filter((part) => part !== null),
  now: () => app.head.now_s + (performance.now() - app.received) / 1000,
  ago: (at_s) => at_s ? whole(app.now() - at_s) : "–",
  until: (at_s) => at_s > app.now() ? `in ${whole(at_s - app.now())}` : "now",
  // What has to know how wide it is, is made when it is in the page.
  whenSized: (box, make) => app.sized.push({ box, make }),
  draw: () => schedule(0),
  runs: (round) => app.head.round === round && !app.rounds.has(round),
};

function view() {
  const [, kind, id] = location.pathname.split("/");
  if (kind === "rounds" && id) return roundView(app, Number(id), app.runs(Number(id)) ? null : about(`/api/rounds/${id}`));
  if (kind === "rounds") return roundsView(app);
  if (kind === "users") return userView(app, decodeURIComponent(id), about(`/api/users/${id}`));
  return fleetView(app);
}

// An answer that is asked for once, until something has changed that it depends on. Meanwhile, and
// where a coordinator is gone by then, the one before it stays.
function about(address) {
  if (!app.asked.has(address)) {
    app.asked.set(address, app.before.get(address) ?? null);
    fetch(address).then((answer) => answer.json()).then((data) => {
      app.asked.set(address, data);
      if (!data.error) app.before.set(address, data);
      app.draw();
    }).catch(() => {
      app.asked.set(address, app.before.get(address) ?? { error: "The coordinator does not answer." });
      app.draw();
    });
  }
  return app.asked.get(address);
}

let due = null;
function schedule(within) {
  if (due !== null) return;
  due = setTimeout(() => {
    due = null;
    draw();
  }, within);
}

// The focus, a field's text and places scrolled to survive.
function draw() {
  if (!app.head) return;
  const focus = document.activeElement;
  const key = focus?.dataset?.key, from = focus?.selectionStart, to = focus?.selectionEnd;
  const scrolled = [...main.querySelectorAll(".scroll, .events")].map((box) => [box.scrollLeft, box.scrollTop]);
  const hadEvents = focus?.classList?.contains("events");
  app.sized = [];
  main.replaceChildren(...view());
  for (const { box, make } of app.sized) if (box.clientWidth) box.replaceChildren(make(box.clientWidth));
  main.querySelectorAll(".scroll, .events").forEach((box, i) => {
    if (scrolled[i]) [box.scrollLeft, box.scrollTop] = scrolled[i];
  });
  const again = hadEvents ? main.querySelector(".events")
    : key && [...main.querySelectorAll("[data-key]")].find((element) => element.dataset.key === key);
  if (again) {
    again.focus({ preventScroll: true });
    if (from !== null && from !== undefined && again.setSelectionRange) again.setSelectionRange(from, to);
  }
  document.title = `${headline(app)[0]} – ${app.head.name}`;
  for (const entry of document.querySelectorAll("nav a")) {
    const here = entry.pathname === "/" ? location.pathname === "/" : location.pathname.startsWith(entry.pathname);
    if (here) entry.setAttribute("aria-current", "page");
    else entry.removeAttribute("aria-current");
  }
}

function take(head, nodes) {
  app.head = head;
  app.received = performance.now();
  const known = app.nodes.size;
  if (nodes.length) ++app.version;
  for (const node of nodes) app.nodes.set(node.node, node);
  if (app.nodes.size > known) {  // u2 before u10.
    const byNumber = new Intl.Collator("en", { numeric: true });
    app.nodes = new Map([...app.nodes].sort(([a], [b]) => byNumber.compare(a, b)));
  }
  if (nodes.some((node) => node.node.startsWith("server/"))) {
    app.nodesOf("server/").map((node) => node.node.slice(7)).sort().forEach((id, i) => app.serverIndex.set(id, i));
  }
}

function say(text, kind) {
  link.className = kind;
  link.textContent = text;
}

let stream = null;
async function begin() {
  stream?.close();
  try {
    const [fleet, rounds] = await Promise.all([fetch("/api/fleet"), fetch("/api/rounds?limit=1000")]);
    if (fleet.status === 401) return say("a token is needed: ask for it whoever runs the coordinator", "away");
    if (!fleet.ok) throw new Error((await fleet.json()).error);
    const { nodes, events, id, ...head } = await fleet.json();
    app.nodes = new Map();
    app.asked = new Map();
    app.events = events;
    app.rounds = new Map((await rounds.json()).rounds.map((row) => [row.round, row]));
    take(head, nodes);
    draw();
    follow(id);
  } catch (error) {
    const over = app.head?.status.phase === "over";
    if (!over) say(app.head ? "the coordinator is away; trying again" : `waiting: ${error.message}`, "away");
    setTimeout(begin, over ? 15000 : 1500);
  }
}

function follow(id) {
  stream = new EventSource(`/events?after=${encodeURIComponent(id)}`);
  stream.onopen = () => say("live", "live");
  stream.onerror = () => {
    const over = app.head.status.phase === "over";
    say(over ? "the fleet is over; this is how it was" : "the coordinator is away; trying again", over ? "" : "away");
    if (over) stream.close();  // It may have been started again, for more rounds.
    if (stream.readyState === EventSource.CLOSED) setTimeout(begin, over ? 15000 : 1500);
  };
  const on = (event, take_it) => stream.addEventListener(event, (message) => {
    take_it(JSON.parse(message.data));
    schedule(document.hidden ? 5000 : DRAW_EVERY_MS);
  });
  on("changed", ({ nodes, ...head }) => take(head, nodes));
  on("happened", (event) => {
    app.events.push(event);
    if (app.events.length > EVENTS_MAX) app.events.shift();
  });
  on("round", (row) => {
    app.rounds.set(row.round, row);
    app.asked.delete(`/api/rounds/${row.round}`);
    for (const address of app.asked.keys()) if (address.startsWith("/api/users/")) app.asked.delete(address);
  });
  stream.addEventListener("anew", begin);
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a");
  const href = anchor?.getAttribute("href");
  if (!href?.startsWith("/") || "reload" in anchor.dataset) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  history.pushState(null, "", href);
  draw();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
});
addEventListener("popstate", draw);
let resizing = null;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(draw, 150);
});
setInterval(() => {
  if (!document.hidden && app.head && app.head.status.phase !== "over") schedule(0);
}, 1000);
begin();
