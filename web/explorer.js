// Explorer of the committed tables. DATA: figures (with claims), tables (dimensions, measures).
// What is chosen stands in the address after #, so that a view can be sent to someone.
const ALL = "all", NONE = "none";
const VERDICT_COLORS = { "reproduced": "#00674d", "inconclusive": "#595959",
                         "not reproduced": "#b8290f" };
const chosen = () => Object.fromEntries(
  new URLSearchParams(decodeURIComponent(location.hash.slice(1))));
const choice = chosen();
const by = (id) => document.getElementById(id);
const unique = (values) => [...new Set(values)];

function select(form, name, label, values, words = (v) => v) {
  if (!values.includes(choice[name])) {
    choice[name] = values.includes(DATA.first[label]) ? DATA.first[label] : values[0];
  }
  const element = document.createElement("select");
  element.name = name;
  for (const value of values) {
    element.add(new Option(words(value), value, false, value === choice[name]));
  }
  element.onchange = () => {
    choice[name] = element.value;
    if (form.id === "what") forgetView();
    if (name === "measure") delete choice.scale;
    draw();
  };
  const around = document.createElement("label");
  around.append(label, element);
  form.append(around);
  return choice[name];
}

// Another figure is shown in its own way first.
function forgetView() {
  for (const name of Object.keys(choice)) {
    if (!["paper", "figure"].includes(name) && !name.startsWith("has ")) delete choice[name];
  }
}

// The dimensions a reader asks for first, over all figures: which figures have this rule, this task?
function figuresThatHave() {
  const form = by("what");
  form.replaceChildren();
  const paper = select(form, "paper", "paper", [ALL, ...unique(DATA.figures.map((f) => f.paper))]);
  let some = DATA.figures.filter((f) => paper === ALL || f.paper === paper);
  for (const dim of ["task", "rule", "gain", "structure"]) {
    const levels = (f) => DATA.tables[f.table].levels[DATA.tables[f.table].dims.indexOf(dim)] ?? [];
    const every = unique(some.flatMap(levels)).sort((a, b) => a - b || a.localeCompare(b));
    if (!every.length) { delete choice["has " + dim]; continue; }
    const wanted = select(form, "has " + dim, dim, [ALL, ...every], ruleName);
    if (wanted !== ALL) some = some.filter((f) => levels(f).includes(wanted));
  }
  const name = select(form, "figure", "figure", some.map((f) => f.name),
                      (n) => DATA.figures.find((f) => f.name === n).title);
  return DATA.figures.find((f) => f.name === name);
}

const ruleName = (value) => DATA.rules.labels[value] ?? value;

// How many values a dimension has among the rows of this measure.
function levelsOf(table, measure, k) {
  return table.levels[k].filter((_, i) => measure.of[k].includes(i));
}

function dimensions(table, measure) {
  const form = by("which");
  form.replaceChildren();
  const name = select(form, "measure", "measure", Object.keys(table.measures));
  measure = table.measures[name];
  const dims = table.dims.filter((_, k) => levelsOf(table, measure, k).length > 1);
  const numeric = dims.filter((d) => isNumber(table.levels[table.dims.indexOf(d)]));
  const along = [...(measure.at ? [table.axis] : []),
                 ...sorted(numeric, ["gain", "rank"]), ...dims.filter((d) => !numeric.includes(d))];
  const x = along.length ? select(form, "x", "along", along) : null;
  const rest = [...dims.filter((d) => d !== x)];
  const color = select(form, "color", "colour", [...sorted(rest, FOR_COLOR), NONE]);
  const panel = select(form, "panel", "panels", [...sorted(rest.filter((d) => d !== color), FOR_PANELS), NONE]);
  const held = {};
  for (const dim of rest) {
    const shown = dim === color || dim === panel;
    const levels = levelsOf(table, measure, table.dims.indexOf(dim));
    const asked = choice["has " + dim];
    if (asked && asked !== ALL && levels.includes(asked)) choice["of " + dim] ??= asked;
    held[dim] = select(form, "of " + dim, dim, shown ? [ALL, ...levels] : levels, ruleName);
  }
  const wide = Math.max(...measure.median) > 50 * Math.min(...measure.median);
  const scales = Math.min(...measure.median) > 0 ? ["linear", "logarithmic"] : ["linear"];
  select(form, "scale", "scale", wide ? scales.reverse() : scales);
  return { name, measure, x, color, panel, held };
}

const FOR_COLOR = ["gain", "structure", "rank", "rule"], FOR_PANELS = ["rule", "task", "α"];
const place = (order, dim) => (order.includes(dim) ? order.indexOf(dim) : order.length);
const sorted = (dims, order) => [...dims].sort((a, b) => place(order, a) - place(order, b));

function rowsOf(table, view) {
  const { measure, x, held } = view, rows = [], last = {};
  const which = (i) => measure.of.map((values) => values[i]).join();
  // where the axis is not shown, the last place of each condition is
  measure.at?.forEach((at, i) => { last[which(i)] = Math.max(at, last[which(i)] ?? -Infinity); });
  for (let i = 0; i < measure.median.length; i++) {
    const row = { median: measure.median[i], low: measure.low[i], high: measure.high[i],
                  n: measure.n[i] };
    table.dims.forEach((dim, k) => { row[dim] = ruleName(table.levels[k][measure.of[k][i]]); });
    if (measure.at) row[table.axis] = measure.at[i];
    if (measure.at && x !== table.axis && measure.at[i] !== last[which(i)]) continue;
    if (Object.entries(held).every(([d, v]) => v === ALL || row[d] === ruleName(v))) rows.push(row);
  }
  return choice.scale === "logarithmic" ? rows.filter((r) => r.median > 0).map(
    (r) => ({ ...r, low: r.low > 0 ? r.low : r.median })) : rows;
}

const isNumber = (values) => values.length > 0 && values.every((v) => v !== "" && !isNaN(v));

function colors(rows, color) {
  if (color === NONE) return { value: "#333" };
  const values = unique(rows.map((r) => r[color])), known = Object.entries(DATA.rules.labels);
  const others = ["#8c564b", "#7f7f7f", "#bcbd22"];      // rules without a colour of their own
  const ours = values.map((v) => DATA.rules.colors[(known.find(([, l]) => l === v) ?? [v])[0]]
    ?? others.shift());
  const scale = color === "rule" ? { domain: values, range: ours }
    : isNumber(values) ? { scheme: "viridis", domain: values.sort((a, b) => a - b) }
    : { scheme: "tableau10" };
  return { field: color, type: "nominal", scale, title: color, legend: { orient: "bottom", columns: 5, symbolOpacity: 1 } };
}

function curves(table, view) {
  const rows = rowsOf(table, view), { x, color, panel } = view;
  const numeric = x !== null && isNumber(rows.map((r) => r[x]));
  const X = x === null ? { value: "width" } : {
    field: x, type: numeric ? "quantitative" : "nominal", title: x,
    axis: { labelAngle: numeric ? 0 : -30 },
    scale: x === "learning rate" ? { type: "log" } : { zero: false } };
  const Y = (field) => ({ field, type: "quantitative", title: view.name,
    scale: choice.scale === "logarithmic" ? { type: "log" } : { zero: false } });
  const panels = panel === NONE ? 1 : Math.min(3, unique(rows.map((r) => r[panel])).length);
  const wide = Math.max(230, Math.min(620, (by("plot").clientWidth - 60) / panels - 70));
  const C = colors(rows, color), curve = table.axis === x && view.measure.at;
  const tooltip = [...table.dims, ...(table.axis ? [table.axis] : []), "median", "low", "high", "n"]
    .filter((f) => rows.length && f in rows[0]).map((field) => ({ field }));
  const quartiles = { mark: curve ? { type: "area", opacity: .18 } : { type: "rule", opacity: .8 },
                     encoding: { x: X, y: Y("low"), y2: { field: "high" }, color: C } };
  const few = unique(rows.map((r) => r[x])).length <= 12;
  const median = { mark: numeric ? { type: "line", point: few, tooltip: true }
                               : { type: "point", filled: true, tooltip: true },
                 encoding: { x: X, y: Y("median"), color: C, tooltip } };
  const unit = { width: wide, height: 240, layer: [quartiles, median] };
  return { rows, spec: panel === NONE ? { data: { values: rows }, ...unit } : {
    data: { values: rows }, columns: wide < 300 && innerWidth < 700 ? 1 : panels,
    facet: { field: panel, type: "nominal", title: panel,
             sort: table.levels[table.dims.indexOf(panel)].map(ruleName) }, spec: unit } };
}

function effects(figure) {
  const rows = figure.claims.filter((c) => c.mean !== undefined);
  const x = (field) => ({ field, type: "quantitative", scale: { type: "symlog", constant: .1 },
    title: innerWidth < 600 ? "beyond the margin; right: as claimed"
      : "effect beyond the claim's margin, 95 % interval; right: as claimed" });
  const y = { field: "id", type: "nominal", sort: null, title: null };
  const color = { field: "verdict", type: "nominal", title: null,
    scale: { domain: Object.keys(VERDICT_COLORS), range: Object.values(VERDICT_COLORS) } };
  const tooltip = [{ field: "id" }, { field: "claim" }, { field: "verdict" }, { field: "mean" }];
  return { data: { values: rows }, width: Math.min(620, by("effects").clientWidth - 60),
    height: { step: 16 }, layer: [
      { mark: { type: "rule", color: "#bbb" }, data: { values: [{}] },
        encoding: { x: { datum: 0, type: "quantitative" } } },
      { mark: "rule", encoding: { x: x("low"), x2: { field: "high" }, y, color } },
      { mark: { type: "point", filled: true, size: 50 },
        encoding: { x: x("mean"), y, color, tooltip } }] };
}

function told(figure, view, rows) {
  by("title").textContent = figure.title;
  by("links").innerHTML = `<a href="${figure.page}" target="_top">the figure's page</a>
    <a href="${figure.notebook}" target="_top">its notebook</a>
    <a href="${figure.colab}" target="_top">on Colab</a>
    <code>make ${figure.name} PROFILE=paper</code>`;
  const seeds = rows.map((r) => r.n);
  const [least, most] = [Math.min(...seeds), Math.max(...seeds)];
  const what = view.measure.share ? "Shares of networks, " : "Medians and quartiles over seeds, ";
  by("plot").setAttribute("aria-label", `${view.name} along ${view.x}, of ${figure.title}`);
  by("note").textContent = rows.length ? what
    + (least === most ? `${most}` : `${least} to ${most}`) + " networks a point."
    : "No network is left: choose less narrowly.";
  by("claims").innerHTML = figure.claims.map((c) => `<tr><td><b>${c.id}</b></td><td>${c.claim}</td>
    <td><span class="verdict ${c.verdict.replaceAll(" ", "-")}">${c.verdict}</span><br>${c.why}
    </td></tr>`).join("");
}

async function draw() {
  const figure = figuresThatHave(), table = DATA.tables[figure.table];
  const view = dimensions(table), { rows, spec } = curves(table, view);
  told(figure, view, rows);
  history.replaceState(null, "", "#" + encodeURIComponent(new URLSearchParams(choice)));
  const options = { actions: { export: true, source: false, compiled: false, editor: false },
                    renderer: "svg" };
  const config = { font: "system-ui, sans-serif", view: { stroke: null } };
  await vegaEmbed("#plot", { ...spec, config }, options);
  by("effects").hidden = !figure.claims.some((c) => c.mean !== undefined);
  if (!by("effects").hidden) await vegaEmbed("#effects", { ...effects(figure), config }, options);
  document.body.dataset.drawn = Number(document.body.dataset.drawn ?? 0) + 1;
}

draw();
addEventListener("hashchange", () => {
  for (const name of Object.keys(choice)) delete choice[name];
  Object.assign(choice, chosen());
  draw();
});
addEventListener("resize", () => { clearTimeout(draw.later); draw.later = setTimeout(draw, 200); });
