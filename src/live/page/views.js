// What is shown of the fleet, a round and a user: each view is built of sections that are drawn anew
// when what they show has changed. `app` (page.js) holds the state and says when.
import { PHASES, curves, h, map, phaseBars, phaseLegend, seconds, serverColour, spanOf, sum, timeAxis } from "/charts.js";

const ROWS = 25;  // Of a table or chart of users at a time.

const percent = (share) => share < 5e-5 ? "0.01 %" : `${(100 * share).toFixed(share < 0.0995 ? 2 : 0)} %`;
const PHASE_WORDS = { local: "training", upload: "uploading", server: "server trains", download: "downloading",
                      verify: "evaluating" };
const PHASE_NOUNS = { local: "local training", upload: "upload", server: "training at its server", download: "download",
                      verify: "evaluation" };
const doing = (part) => PHASE_WORDS[part.phase] ?? (part.phase || part.state);
const number = (value, digits = 3) => value === null || value === undefined ? "–" : value.toFixed(digits);
const isUser = (node) => node.node.startsWith("user/");
const idOf = (node) => node.node.split("/")[1];
const clock = (at_s) => new Date(1000 * at_s).toLocaleTimeString([], { hour12: false });
const date = (at_s) => new Date(1000 * at_s).toLocaleString([], {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
const gapOf = (plan) => plan?.scr_upper ? Math.max(0, (plan.scr_upper - plan.scr) / plan.scr_upper) : null;

function tile(value, label) {
  return h("div", { class: "tile" }, h("b", {}, value), h("span", {}, label));
}

function section(title, width, note, ...body) {
  return h("section", { class: width }, h("h2", {}, title), note ? h("p", { class: "note" }, note) : null, body);
}

function userLink(id) {
  return h("a", { href: `/users/${id}`, "data-key": `user ${id}` }, id);
}

function serverName(app, id) {
  if (!id) return h("span", { class: "muted" }, "–");
  const dot = h("span", { class: "dot" });
  dot.style.background = serverColour(app.serverIndex.get(id) ?? -1);
  return h("span", {}, dot, id);
}

function stateText(state, reason) {
  const kind = { here: "good", done: "good", away: "warn", drained: "warn", gone: "bad", failed: "bad",
                 excluded: "bad", "turned away": "bad" }[state] ?? "muted";
  return h("span", { class: kind, title: reason ?? undefined }, state);
}

// "1–25 of 1000" with buttons, and a filter where there is much to look through.
function pager(app, key, count, filters) {
  const at = app.pages.get(key) ?? 0, last = Math.max(0, Math.ceil(count / ROWS) - 1);
  const go = (to) => () => {
    app.pages.set(key, to);
    app.draw();
  };
  const filter = filters ? h("input", {
    type: "search", placeholder: "filter: id, server, state", "aria-label": "Filter users", "data-key": `${key} filter`,
    value: app.filters.get(key) ?? "",
    oninput: (event) => {
      app.filters.set(key, event.target.value);
      app.pages.set(key, 0);
      app.draw();
    } }) : null;
  const many = count > ROWS;
  if (!filter && !many) return null;
  return h("div", { class: "tools" }, filter,
           many ? [h("button", { onclick: go(at - 1), disabled: at === 0, "data-key": `${key} back` }, "Back"),
                   h("button", { onclick: go(at + 1), disabled: at >= last, "data-key": `${key} on` }, "On"),
                   h("span", { class: "muted note" },
                     `${at * ROWS + 1}–${Math.min(count, (at + 1) * ROWS)} of ${count}`)] : null);
}

function page(app, key, rows) {
  const at = Math.min(app.pages.get(key) ?? 0, Math.max(0, Math.ceil(rows.length / ROWS) - 1));
  app.pages.set(key, at);
  return rows.slice(at * ROWS, (at + 1) * ROWS);
}

function filtered(app, key, rows, textOf) {
  const words = (app.filters.get(key) ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return words.length ? rows.filter((row) => words.every((word) => textOf(row).toLowerCase().includes(word))) : rows;
}

function table(heads, rows) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { class: head.startsWith("<") ? "t" : "", scope: "col" },
                                                     head.replace("<", ""))))),
    h("tbody", {}, rows)));
}

const cell = (kind, ...content) => h("td", { class: kind }, ...content);

// How the fleet is: the first line of its page, and the browser's tab.
export function headline(app) {
  const { status, round_stage: stage } = app.head;
  const since = app.ago(status.since_s);
  if (status.phase === "over") return ["The fleet is over", status.ends || "it has had its rounds"];
  if (status.phase === "idle") {
    if (!status.rounds_begun) return ["Waiting for the first round", "nodes are gathering"];
    const next = status.next_round_s ? `the next begins ${app.until(status.next_round_s)}`
                                     : "a round begins when it is asked for";
    return [`Idle after round ${status.rounds_begun}`, next];
  }
  const waited = stage === "gathering" ? status.waited_for.names : [];
  const does = stage === "running" ? "is running" : stage === "planning" ? "is being planned" : `is ${stage}`;
  const of = status.rounds_max ? ` of ${status.rounds_max}` : "";
  return [`Round ${status.round}${of} ${does}`,
          waited.length ? `for ${since}; waits for ${waited.slice(0, 6).join(", ")}${
            status.waited_for.nodes > 6 ? ` and ${status.waited_for.nodes - 6} more` : ""}` : `for ${since}`];
}

function fleetTiles(app) {
  const { status, plan, connected } = app.head;
  const parts = app.parts();
  const ended = parts.filter((part) => part.state === "done").length;
  const learnt = parts.filter((part) => part.loss_before !== null && part.loss_after !== null);
  const mean = (key) => sum(learnt.map((part) => part[key])) / learnt.length;
  const gap = gapOf(plan);
  return h("div", { class: "tiles" },
    tile(`${status.servers.here} of ${status.servers.known}`, "servers here"),
    tile(`${status.users.here} of ${status.users.known}`, `users here; ${connected} nodes connected`),
    tile(`${ended} of ${parts.length}`, app.head.round ? `users done in round ${app.head.round}` : "users done"),
    tile(plan ? plan.scr.toPrecision(4) : "–",
         gap === null ? "service-cost ratio of the plan" : `SCR, at most ${percent(gap)} below the best`),
    tile(learnt.length ? `${mean("loss_before").toFixed(3)} → ${mean("loss_after").toFixed(3)}` : "–",
         "mean held-out loss, base → adapter"));
}

function leases(app) {
  const servers = app.nodesOf("server/");
  const rows = servers.map((node) => h("tr", {},
    cell("t", serverName(app, idOf(node))), cell("t", stateText(node.state, node.reason)), leaseCell(app, node),
    cell("", `${node.users ?? 0}`), cell("t muted", (node.addresses ?? []).join(" ")),
    cell("wide", node.reason ?? node.process ?? "")));
  return section("Servers", "w12", "A node that says nothing for its lease is away; after its grace it is gone.",
                 table(["<server", "<state", "<lease", "users", "<address", "<process, or why"], rows));
}

// Signs of life come every 3 s; only longer silences are told.
function leaseCell(app, node) {
  if (node.state !== "here") return cell("t muted", `for ${app.ago(node.since_s)}`);
  const silent = app.head.silent_s[node.node] ?? 0;
  const left = Math.max(0, 1 - silent / 15);
  const fill = h("i", { class: left < 0.6 ? "low" : "" });
  fill.style.width = `${100 * left}%`;
  return cell("t", h("span", { class: "bar" }, h("i", {}, fill),
                     h("span", { class: "muted" }, silent ? `silent ${seconds(silent)}` : "fresh")));
}

function usersTable(app) {
  const all = app.nodesOf("user/");
  const rows = filtered(app, "users", all, (node) =>
    `${idOf(node)} ${node.state} ${node.part?.server ?? ""} ${node.part?.phase ?? ""} ${node.part?.state ?? ""}`);
  const lines = page(app, "users", rows).map((node) => {
    const part = node.part;
    return h("tr", {},
      cell("t", userLink(idOf(node))), cell("t", stateText(node.state, node.reason)), leaseCell(app, node),
      cell("t", part ? stateText(doing(part), part.reason) : "–"), cell("t", serverName(app, part?.server)),
      cell("", part?.server ? `${part.k}` : "–"), cell("", seconds(part ? sum(part.predicted_s) : null)),
      cell("", seconds(part ? sum(part.at_planned_s) : null)),
      cell("", part?.loss_before != null ? number(part.loss_before) : "–"),
      cell("", part?.loss_after != null ? number(part.loss_after) : "–"),
      cell("wide", part?.reason ?? node.reason ?? ""));
  });
  return section("Users", "w12", null, pager(app, "users", rows.length, all.length > ROWS || app.filters.get("users")),
    table(["<user", "<state", "<lease", "<part", "<server", "k", "predicted", "measured", "loss, base", "adapter", "<why"],
          lines));
}

// Predicted beside measured, in the plan's seconds.
function gantt(app, key, parts, timeScale, width) {
  const planned = parts.filter((part) => part.server && sum(part.predicted_s) !== null);
  const rows = page(app, key, planned), span = spanOf(rows);
  const note = timeScale > 0
    ? "Above as planned, below as measured by the clock, end to end, in the plan's seconds."
    : "Above as planned, below as measured (by the clock where plans learn, else the same work and bytes at the plan's clocks and rates), end to end.";
  const lines = rows.map((part) => h("div", { class: "row" },
    h("span", {}, userLink(part.user)), phaseBars(part, span),
    h("span", { class: "value" }, `${seconds(sum(part.predicted_s))} / ${seconds(sum(part.at_planned_s))}`)));
  const going = rows.some((part) => part.state === "running");
  return section("Phases", width, note, phaseLegend(going), pager(app, key, planned.length, false),
    h("div", { class: "gantt" }, rows.length ? [h("span"), timeAxis(span), h("span", { class: "value" }, "pred. / meas.")]
                                             : h("p", { class: "empty" }, "No plan yet."), lines));
}

function mapSection(app, width) {
  const box = h("div", { class: "map" });
  app.whenSized(box, (pixels) => {  // Of many users it takes longer than all else.
    if (app.drawnMap?.version !== app.version || app.drawnMap.pixels !== pixels) {
      app.drawnMap = { version: app.version, pixels, svg: map(app.nodes, app.serverIndex, pixels) };
    }
    return app.drawnMap.svg;
  });
  return section("Map", width, "Discs are users in the colour of their server; hollow ones are not here or have failed.", box);
}

function chart(app, title, width, note, series, label) {
  const box = h("div", { class: "chart" });
  app.whenSized(box, (pixels) => curves(series, pixels, label));
  const empty = series.every((one) => !one.points.length);
  return section(title, width, note, empty ? h("p", { class: "empty" }, "Nothing yet.") : box);
}

function lossSeries(rows, linked) {
  const points = (key, name) => rows.filter((row) => row[key] != null).map((row) => ({
    x: row.round, y: row[key], title: `round ${row.round}: ${number(row[key])} (${name})`,
    href: linked ? `/rounds/${row.round}` : undefined }));
  return [{ kind: "other", name: "base model", points: points("loss_before", "base model") },
          { kind: "", name: "with adapter", points: points("loss_after", "with adapter") }];
}

function roundCharts(app, rows) {
  const scr = rows.filter((row) => row.scr !== null && row.scr !== undefined).map((row) => ({
    x: row.round, y: row.scr, high: row.scr_upper ?? undefined, href: `/rounds/${row.round}`,
    title: `round ${row.round}: ${row.scr.toPrecision(5)}${
      row.scr_upper ? `, no plan's is above ${row.scr_upper.toPrecision(5)}` : ""}` }));
  return [chart(app, "Held-out loss over rounds", "w6",
                "Mean over the users that were done, in nats per answer token.",
                lossSeries(rows, true), "Held-out loss over rounds"),
          chart(app, "SCR over rounds", "w6", "Each round's plan, and up to where a better one may lie.",
                [{ kind: "", points: scr }], "Service-cost ratio over rounds")];
}

const SENTENCES = {
  listening: (e) => `the coordinator listens at ${e.address}`,
  joined: (e) => `${e.who} is here (${e.process})`,
  node_lost: (e) => `${e.lost} is away`,
  turned_away: (e) => `${e.who} is turned away: ${e.reason}`,
  settings_outdated: (e) => `${e.who} is to ask for the training settings again: ${e.reason}`,
  planned: (e) => `round ${e.round} is planned with ${e.method} in ${seconds(e.elapsed_s)}`,
  phase_finished: (e) => e.failure ? `user ${e.user}: ${PHASE_NOUNS[e.phase] ?? e.phase} failed: ${e.failure}`
                                   : `user ${e.user}: ${PHASE_NOUNS[e.phase] ?? e.phase} finished after ${seconds(e.elapsed_s)}`,
  user_ended: (e) => e.failure ? `user ${e.user} FAILED: ${e.failure}` : `user ${e.user} is done`,
  round_ended: (e) => `round ${e.round} has ended: ${e.success ? "every user is done" : "not every user is done"}`,
  round_requested: (e) => `${e.by} asks for a round`,
  drained: (e) => `${e.by} drains ${e.who}`,
  excluded: (e) => `${e.by} excludes ${e.who}${e.reason ? `: ${e.reason}` : ""}`,
  admitted: (e) => `${e.by} admits ${e.who}`,
  stopped: (e) => e.by ? `${e.by} stops the fleet` : `the coordinator is stopped by signal ${e.signal}`,
};

function sentence(event) {
  const known = SENTENCES[event.event];
  if (known) return known(event);
  const rest = Object.entries(event).filter(([key]) => !["time_s", "node", "pid", "event"].includes(key));
  return `${event.event} ${rest.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(" ")}`;
}

function events(app, list, width, title = "Events") {
  const bad = (event) => event.failure || ["node_lost", "turned_away"].includes(event.event);
  const rows = [...list].reverse().map((event) => h("li", {}, h("time", {}, clock(event.time_s)),
                                                     h("span", { class: bad(event) ? "bad" : "" }, sentence(event))));
  return section(title, width, null,
                 h("ul", { class: "events", tabindex: 0, "aria-label": title },
                   rows.length ? rows : h("li", { class: "empty" }, "None yet.")));
}

export function fleetView(app) {
  const [title, rest] = headline(app);
  return [h("h1", {}, title), h("p", {}, `${app.head.name}: ${rest}`), fleetTiles(app),
          h("div", { class: "grid" },
            gantt(app, "gantt", app.parts(), app.head.time_scale, "w8"), mapSection(app, "w4"),
            roundCharts(app, [...app.rounds.values()]), leases(app), usersTable(app),
            events(app, app.events, "w12"))];
}

export function roundsView(app) {
  const rows = [...app.rounds.values()].sort((a, b) => b.round - a.round);
  const lines = page(app, "rounds", rows).map((row) => h("tr", {},
    cell("t", h("a", { href: `/rounds/${row.round}`, "data-key": `round ${row.round}` }, `${row.round}`)),
    cell("t", date(row.ended_s)), cell("t", stateText(row.result)), cell("", `${row.users_done}`),
    cell("", `${row.users_failed}`), cell("", `${row.users_left_out}`), cell("", seconds(row.ended_s - row.began_s)),
    cell("", row.scr != null ? row.scr.toPrecision(4) : "–"),
    cell("", gapOf(row) === null ? "–" : percent(gapOf(row))), cell("", number(row.loss_before)),
    cell("", number(row.loss_after))));
  return [h("h1", {}, "Rounds"),
          h("p", {}, rows.length ? `${rows.length} ${rows.length === 1 ? "has" : "have"} ended${rows.length >= 1000 ? " and are remembered" : ""}.`
                                 : "None has ended yet."),
          h("div", { class: "grid" }, roundCharts(app, rows),
            section("All rounds", "w12", null, pager(app, "rounds", rows.length, false),
              table(["<round", "<ended", "<result", "done", "failed", "left out", "took", "SCR", "gap", "loss, base", "adapter"],
                    lines)))];
}

// `timeScale`: seconds of the wall's clock for one of the plan's, where the round is emulated.
function partsTable(app, key, parts, timeScale) {
  const rows = filtered(app, key, parts, (part) => `${part.user} ${part.state} ${part.server ?? ""}`);
  const phases = (part) => PHASES.map((_, i) => cell("", seconds(
    part.measured_s[i] === null ? null : part.measured_s[i] / (timeScale > 0 ? timeScale : 1))));
  return section("Users", "w12", timeScale > 0
    ? `Phases by the wall's clock, in the plan's seconds: one took ${seconds(timeScale)}.`
    : "Phases as their own clocks measured them.",
    pager(app, key, rows.length, parts.length > ROWS || app.filters.get(key)),
    table(["<user", "<state", "<server", "k", "predicted", timeScale > 0 ? "measured" : "at the plan's rates", ...PHASES, "loss, base", "adapter", "<why"],
      page(app, key, rows).map((part) => h("tr", {},
        cell("t", userLink(part.user)), cell("t", stateText(doing(part))), cell("t", serverName(app, part.server)),
        cell("", part.server ? `${part.k}` : "–"), cell("", seconds(sum(part.predicted_s))),
        cell("", seconds(sum(part.at_planned_s))), phases(part), cell("", number(part.loss_before)),
        cell("", number(part.loss_after)), cell("wide", part.reason ?? "")))));
}

export function roundView(app, round, data) {
  const runs = app.runs(round) || (app.head.round === round && data?.error);  // As it was last heard of.
  if (!runs && !data) return [h("h1", {}, `Round ${round}`), h("p", { class: "empty" }, "Reading it.")];
  if (!runs && data.error) return [h("h1", {}, `Round ${round}`), h("p", { class: "bad" }, data.error)];
  const parts = runs ? app.parts() : data.parts;
  const row = runs ? app.head.plan ?? {} : data;
  const done = parts.filter((part) => part.state === "done").length;
  const gap = gapOf(row), timeScale = runs ? app.head.time_scale : data.time_scale;
  const around = h("p", {},
    round > 1 ? [h("a", { href: `/rounds/${round - 1}` }, `Round ${round - 1}`), " · "] : null,
    runs ? `is ${app.head.round_stage}, for ${app.ago(app.head.status.since_s)}`
         : [`${date(data.began_s)} to ${clock(data.ended_s)} · `,
            h("a", { href: `/rounds/${round}/report`, "data-reload": true }, "the plan's report")],
    round < app.head.status.rounds_begun ? [" · ", h("a", { href: `/rounds/${round + 1}` }, `Round ${round + 1}`)] : null);
  return [h("h1", {}, `Round ${round}`), around,
    h("div", { class: "tiles" },
      tile(`${done} of ${parts.length}`, "users are done"),
      tile(runs ? app.ago(app.head.status.round_began_s ?? app.head.status.since_s) : seconds(data.ended_s - data.began_s),
           "took, by the wall's clock"),
      tile(row.scr != null ? row.scr.toPrecision(4) : "–", gap === null ? "SCR of the plan" : `SCR, at most ${percent(gap)} below the best`),
      tile(row.method ?? "–", "planned with"),
      tile(data?.loss_after != null ? `${number(data.loss_before)} → ${number(data.loss_after)}` : "–", "mean held-out loss")),
    h("div", { class: "grid" },
      gantt(app, `gantt ${round}`, parts, timeScale, "w12"),
      partsTable(app, `round ${round}`, parts, timeScale))];
}

export function userView(app, user, data) {
  const node = app.nodes.get(`user/${user}`);
  if (!node) return [h("h1", {}, user), h("p", { class: "bad" }, "The fleet has no such user.")];
  const part = node.part, rounds = data?.rounds ?? [];
  const own = app.events.filter((event) => event.user === user || [event.who, event.lost].includes(`user/${user}`));
  const lines = page(app, `user ${user}`, rounds).map((row) => h("tr", {},
    cell("t", h("a", { href: `/rounds/${row.round}`, "data-key": `round ${row.round}` }, `${row.round}`)),
    cell("t", date(row.ended_s)), cell("t", stateText(row.state)), cell("t", serverName(app, row.server)), cell("", `${row.k}`),
    cell("", seconds(row.predicted_s)), cell("", seconds(row.at_planned_s)), cell("", number(row.loss_before)),
    cell("", number(row.loss_after))));
  return [h("h1", {}, user), h("p", {}, "is ", stateText(node.state, node.reason),
                               node.reason ? `: ${node.reason}` : "", node.process ? ` (${node.process})` : ""),
    h("div", { class: "tiles" },
      tile(part ? doing(part) : "–", app.head.round ? `in round ${app.head.round}` : "no round yet"),
      tile(serverName(app, part?.server), "server"),
      tile(part?.server ? `${part.k}` : "–", "layers trained by the user itself"),
      tile(`${seconds(part ? sum(part.predicted_s) : null)} / ${seconds(part ? sum(part.at_planned_s) : null)}`,
           "predicted / measured"),
      tile(part?.loss_after != null ? `${number(part.loss_before)} → ${number(part.loss_after)}` : "–", "held-out loss")),
    h("div", { class: "grid" },
      part?.server ? gantt(app, `gantt ${user}`, [part], app.head.time_scale, "w12") : null,
      chart(app, "Held-out loss over rounds", "w6", "On this user's own held-out data, in nats per answer token.",
            lossSeries(rounds, true), `Held-out loss of ${user}`),
      events(app, own, "w6", "Latest events"),
      section("Rounds", "w12", null, pager(app, `user ${user}`, rounds.length, false),
        table(["<round", "<ended", "<result", "<server", "k", "predicted", "measured", "loss, base", "adapter"], lines)))];
}
