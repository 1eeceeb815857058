// SVG of what the fleet does. Nothing here keeps state; texts become text nodes, never markup.

export const PHASES = ["local", "upload", "server", "download"];
const PHASE_NAMES = {
  local: "training at the user", upload: "upload", server: "training at the server", download: "download",
};
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#b05587", "#b8860b", "#3e97c4", "#7a5ca8", "#5f6b73"];
const NO_COLOUR = "#8a94a0";

// A colour per server, as in the report: eight that also differ for colour-blind eyes, then more.
export function serverColour(index) {
  if (index < 0) return NO_COLOUR;
  return COLOURS[index] ?? `hsl(${Math.round((137.508 * index) % 360)} 60% 42%)`;
}

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.9995) return `${(1000 * value).toFixed(0)} ms`;
  if (value < 99.95) return `${value.toFixed(value < 9.995 ? 2 : 1)} s`;
  if (value < 600) return `${value.toFixed(0)} s`;
  if (value < 7200) return `${(value / 60).toFixed(0)} min`;
  return value < 172800 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(0)} d`;
}

export function sum(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

// Steps of 1, 2 or 5 times a power of ten, about `count` of them.
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= raw * 0.999) ?? 10);
  const list = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) list.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return list.map((value) => ({ value, label: value.toFixed(digits) }));
}

// Users as discs in the colour of their server, servers as squares, a line for every link in use.
export function map(nodes, serverIndex, width) {
  const all = [...nodes.values()];
  const xs = all.map((node) => node.x_m), ys = all.map((node) => node.y_m);
  const low = { x: Math.min(...xs), y: Math.min(...ys) }, high = { x: Math.max(...xs), y: Math.max(...ys) };
  const margin = 30, footer = 24, most = 380;
  const scale = Math.min((width - 2 * margin) / Math.max(high.x - low.x, 1),
                         (most - 2 * margin - footer) / Math.max(high.y - low.y, 1));
  const height = Math.max(220, scale * (high.y - low.y) + 2 * margin + footer);
  const x = (node) => (width - scale * (high.x - low.x)) / 2 + scale * (node.x_m - low.x);
  const y = (node) => margin + scale * (high.y - node.y_m);
  const servers = all.filter((node) => node.node.startsWith("server/"));
  const users = all.filter((node) => node.node.startsWith("user/"));
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
                         "aria-label": "Map of users and servers" });
  const crowded = users.length > 60;
  const discs = [];
  for (const user of users) {
    const id = user.node.slice(5), server = user.part?.server;
    const at = server ? nodes.get(`server/${server}`) : undefined;
    const colour = serverColour(server ? serverIndex.get(server) ?? -1 : -1);
    if (at) {
      svg.append(s("line", { x1: x(user), y1: y(user), x2: x(at), y2: y(at), stroke: colour,
                             "stroke-opacity": 0.45, "stroke-width": 1.4,
                             "stroke-dasharray": user.part.state === "failed" ? "3 4" : "none" }));
    }
    const here = user.state === "here" && user.part?.state !== "failed";
    const link = s("a", { href: `/users/${id}`, tabindex: -1 },
                   s("circle", { cx: x(user), cy: y(user), r: crowded ? 3 : 6, stroke: colour,
                                 ...(here ? { fill: colour } : { class: "hollow" }) },
                     s("title", {}, `${id}: ${user.part?.phase || user.part?.state || user.state}`)));
    discs.push(link);
    if (!crowded) discs.push(s("text", { x: x(user) + 9, y: y(user) + 4 }, id));
  }
  svg.append(...discs);
  for (const server of servers) {
    const id = server.node.slice(7), half = servers.length > 20 ? 4.5 : 9;
    const colour = serverColour(serverIndex.get(id) ?? -1);
    svg.append(s("rect", { x: x(server) - half, y: y(server) - half, width: 2 * half, height: 2 * half, rx: 2,
                           ...(server.state === "here" ? { fill: colour, class: "box" }
                                                       : { class: "hollow", stroke: colour }) },
                 s("title", {}, `${id}: ${server.state}`)));
    if (servers.length <= 20) {
      const name = server.state === "here" ? id : `${id} (${server.state})`;
      svg.append(s("text", { x: x(server), y: y(server) - half - 5, "text-anchor": "middle", class: "name" }, name));
    }
  }
  const raw = (0.25 * width) / scale, power = 10 ** Math.floor(Math.log10(raw));
  const length = power * ([5, 2].find((factor) => factor * power <= raw) ?? 1);
  svg.append(s("line", { x1: 10, y1: height - 10, x2: 10 + length * scale, y2: height - 10, class: "axis-line",
                         "stroke-width": 2 }),
             s("text", { x: 18 + length * scale, y: height - 6 },
               length >= 1000 ? `${length / 1000} km` : `${length} m`));
  return svg;
}

// One user's phases end to end: above as planned, below as they went.
export function phaseBars(part, span) {
  const svg = s("svg", { viewBox: "0 0 1000 24", preserveAspectRatio: "none", role: "img",
                         "aria-label": `Phases of ${part.user}` });
  const bar = (start, length, y, height, kind, title) => s(
    "rect", { x: (1000 * start) / span, y, width: Math.max((1000 * length) / span, 1), height, class: kind },
    s("title", {}, title));
  let planned = 0, went = 0;
  PHASES.forEach((phase, i) => {
    const predicted = part.predicted_s[i], measured = part.at_planned_s[i];
    if (predicted > 0) {
      svg.append(bar(planned, predicted, 3, 7, `${phase} planned`, `${PHASE_NAMES[phase]}: predicted ${seconds(predicted)}`));
      planned += predicted;
    }
    if (measured !== null && measured > 0) {
      svg.append(bar(went, measured, 12, 9, phase, `${PHASE_NAMES[phase]}: measured ${seconds(measured)}`));
      went += measured;
    } else if (part.state === "running" && part.phase === phase) {
      svg.append(bar(went, Math.max(predicted ?? 0, span / 100), 13, 7, `${phase} going`,
                     `${PHASE_NAMES[phase]}: goes on`));
    }
  });
  return svg;
}

export function spanOf(parts) {
  const lengths = parts.map((part) => Math.max(sum(part.predicted_s) ?? 0, sum(part.at_planned_s) ?? 0));
  return Math.max(...lengths, 0) * 1.02 || 1;
}

export function timeAxis(span) {
  const axis = h("div", { class: "axis", "aria-hidden": "true" });
  for (const { value, label } of ticks(0, span, 5)) {
    const tick = h("span", {}, `${label} s`);
    tick.style.left = `${(100 * value) / span}%`;
    axis.append(tick);
  }
  return axis;
}

export function phaseLegend(going) {
  const entry = (kind, name) => h("span", {}, h("span", { class: `dot ${kind}` }), name);
  return h("div", { class: "legend" }, PHASES.map((phase) => entry(phase, PHASE_NAMES[phase])),
           going ? entry("outline", "goes on, as long as predicted") : null);
}

// Curves over rounds. `series`: [{points: [{x, y, high, title, href}], kind}], `high` the top of a bar
// from y on; axes show what is there and nothing beyond.
export function curves(series, width, label) {
  const height = 230, left = 58, right = 14, top = 10, bottom = 34;
  const all = series.flatMap((one) => one.points);
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
  if (!all.length) return svg;
  const lowX = Math.min(...all.map((p) => p.x)), highX = Math.max(...all.map((p) => p.x));
  let low = Math.min(...all.map((p) => p.y)), high = Math.max(...all.map((p) => p.high ?? p.y));
  // Nearly equal values get no axis of which the labels differ in their seventh digit.
  const pad = high - low > 1e-3 * Math.abs(high) ? (high - low) * 0.08 : Math.abs(high) * 0.05 || 1;
  low -= pad;
  high += pad;
  const x = (value) => highX === lowX ? (left + width - right) / 2
                                      : left + ((width - left - right) * (value - lowX)) / (highX - lowX);
  const y = (value) => height - bottom - ((height - top - bottom) * (value - low)) / (high - low);
  for (const { value, label: text } of ticks(low, high, 4)) {
    svg.append(s("line", { x1: left, y1: y(value), x2: width - right, y2: y(value), class: "grid-line" }),
               s("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, text));
  }
  const steps = highX === lowX ? [{ value: lowX, label: `${lowX}` }]
                               : ticks(lowX, highX, Math.min(highX - lowX, Math.max(2, Math.floor(width / 90))));
  for (const { value, label: text } of steps.filter(({ value: at }) => Number.isInteger(at))) {
    svg.append(s("text", { x: x(value), y: height - bottom + 17,
                           "text-anchor": x(value) + 4 * text.length > width ? "end" : "middle" }, text));
  }
  svg.append(s("line", { x1: left, y1: height - bottom, x2: width - right, y2: height - bottom, class: "axis-line" }),
             s("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, "round"));
  for (const { points, kind, name } of series) {
    const sorted = [...points].sort((a, b) => a.x - b.x);
    if (name && sorted.length) {  // On the side of its curve that has room.
      const at = sorted.at(-1), below = y(at.y) < top + 40;
      svg.append(s("text", { x: x(at.x), y: y(at.y) + (below ? 18 : -10), "text-anchor": sorted.length > 1 ? "end" : "middle",
                             class: "name" }, name));
    }
    if (sorted.length > 1) {
      svg.append(s("polyline", { class: `curve ${kind}`,
                                 points: sorted.map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(" ") }));
    }
    const crowded = sorted.length > 150;
    if (crowded && sorted.some((p) => p.high !== undefined)) {  // A band instead of a bar for each.
      const edge = [...sorted.map((p) => [p.x, p.high ?? p.y]), ...sorted.map((p) => [p.x, p.y]).reverse()];
      svg.append(s("polygon", { class: "band", points: edge.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
    }
    for (const p of crowded ? [] : sorted) {
      if (p.high !== undefined) {
        svg.append(s("line", { x1: x(p.x), y1: y(p.y), x2: x(p.x), y2: y(p.high), class: "bound" }),
                   s("rect", { x: x(p.x) - 4, y: y(p.high) - 1, width: 8, height: 2, class: "ends" }));
      }
      const dot = s("circle", { cx: x(p.x), cy: y(p.y), r: 3.5, class: `point ${kind}` }, s("title", {}, p.title));
      svg.append(p.href ? s("a", { href: p.href, tabindex: -1 }, dot) : dot);
    }
  }
  return svg;
}
