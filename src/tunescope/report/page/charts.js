// Charts: Plotly is unpacked once, each chart drawn when it comes near the view, in the colours of the theme.
const drawn = new Set();
let plotly = null;

function escaped(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function specOf(figure) {
  return JSON.parse(figure.querySelector(":scope > script").textContent);
}

function themed(value, key = "") {
  if (Array.isArray(value)) return value.map((one) => themed(one));
  if (value && typeof value === "object") {
    if (key === "meta") return value;
    if (value.meta && value.opacity < 1) value = { ...value, opacity: 0.75 }; // faint on white is gone on black
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, themed(one, name)]));
  }
  return typeof value === "string" && /color$/.test(key) ? facts.dark[value] ?? value : value;
}

function xName(layout, x) {
  const { categories } = layout.meta;
  return categories.length ? categories[Math.round(x)] : shortNumber(x);
}

// What a chart says in numbers: columns, then rows of [cells, anchor].
function numbersOf({ data, layout }) {
  if (layout.meta.rows) {
    const { columns, rows, x, y } = layout.meta;
    const cells = data[0].z.flatMap((row, i) => row.map((z, j) => [[rows[i], columns[j], z], ""]));
    return { columns: [y, x, data[0].meta.name], kinds: ["text", "text", "number"], rows: cells };
  }
  const place = (trace) => Number(trace.legendgroup.slice(1));
  const traces = data.filter((trace) => trace.meta)
    .sort((one, other) => place(one) - place(other) || other.opacity - one.opacity); // as in the legend, means before seeds
  const own = (trace, place) => trace.customdata?.[place] ?? [null, null, "", ""];
  const all = traces.flatMap((trace) => trace.x.map((x, place) => {
    const [low, high, text, anchor] = own(trace, place);
    const at = layout.meta.categories.length ? xName(layout, x) : x;
    return [[trace.meta.name, at, trace.y[place], low, high, text], anchor];
  }));
  const columns = ["series", layout.meta.x || "x", layout.meta.y || "y", "low", "high", "note"];
  const kinds = ["text", layout.meta.categories.length ? "text" : "number", "number", "number", "number", "text"];
  const isUsed = columns.map((_, place) => place < 3 || all.some(([cells]) => cells[place] !== null && cells[place] !== ""));
  const keep = (cells) => cells.filter((_, place) => isUsed[place]);
  return { columns: keep(columns), kinds: keep(kinds), rows: all.map(([cells, anchor]) => [keep(cells), anchor]) };
}

function numbersTable(figure, spec) {
  const { columns, kinds, rows } = numbersOf(spec);
  const title = figure.querySelector("figcaption").textContent;
  const head = make("tr", { children: columns.map((name, place) =>
    make("th", { attributes: { scope: "col", class: kinds[place] }, children: [make("bdi", { text: name })] })) });
  const body = rows.map(([cells, anchor]) => make("tr", { children: cells.map((cell, place) => {
    const inner = make("bdi", { text: shortNumber(cell) });
    const link = place === 2 && anchor ? make("a", { attributes: { href: `#${anchor}` }, children: [inner] }) : inner;
    const attributes = { class: kinds[place] + (place === 0 ? " key" : "") };
    if (typeof cell === "number") attributes["data-v"] = String(cell);
    if (place === 0) attributes.scope = "row";
    return make(place === 0 ? "th" : "td", { attributes, children: [link] });
  }) }));
  const id = `${figure.id}-numbers`;
  const table = make("table", { children: [
    make("caption", { children: [make("span", { text: `Numbers of: ${title}`, attributes: { id } })] }),
    make("thead", { children: [head] }),
    make("tbody", { children: body }),
  ] });
  const attributes = { class: rows.length > 25 ? "table-scroll is-long" : "table-scroll", tabindex: "0", role: "region", "aria-labelledby": id };
  const block = make("div", { attributes: { class: "table-block" }, children: [
    make("div", { attributes, children: [table] }),
    make("p", { attributes: { class: "tools", "data-tools": "" } }),
  ] });
  return block;
}

function hoverTexts(spec) {
  const { data, layout } = spec;
  if (layout.meta.rows) {
    const { columns, rows } = layout.meta;
    data[0].text = data[0].texttemplate ? undefined : data[0].text;
    data[0].hovertext = data[0].z.map((row, i) =>
      row.map((z, j) => `${escaped(rows[i])} · ${escaped(columns[j])}<br>${shortNumber(z)}`));
    data[0].hoverinfo = "text";
    return;
  }
  for (const trace of data) {
    if (!trace.meta) continue;
    trace.hoverinfo = "text";
    trace.hovertext = trace.x.map((x, place) => {
      const [low, high, text] = trace.customdata?.[place] ?? [null, null, ""];
      const interval = low === null || high === null ? "" : ` [${shortNumber(low)}, ${shortNumber(high)}]`;
      const lines = [`<b>${escaped(trace.meta.name)}</b>`, `${escaped(xName(layout, x))}: ${shortNumber(trace.y[place])}${interval}`];
      if (text) lines.push(escaped(text));
      return lines.join("<br>");
    });
  }
}

function draw(figure) {
  if (!plotly || drawn.has(figure)) return;
  drawn.add(figure);
  const spec = specOf(figure);
  hoverTexts(spec);
  const plot = figure.querySelector(".plot");
  const shown = isDark() ? themed(spec) : spec;
  const isFine = matchMedia("(pointer: fine)").matches;
  const layout = { ...shown.layout, autosize: true, dragmode: isFine ? "zoom" : false };
  const config = { displayModeBar: false, responsive: true, doubleClick: "reset", scrollZoom: false, typesetMath: false };
  plot.style.height = `${layout.height}px`;
  plotly.newPlot(plot, shown.data, layout, config);
  const anchors = (event) => event.points[0]?.customdata?.[3];
  plot.on("plotly_hover", (event) => plot.classList.toggle("is-linked", Boolean(anchors(event))));
  plot.on("plotly_unhover", () => plot.classList.remove("is-linked"));
  plot.on("plotly_click", (event) => {
    if (anchors(event)) location.hash = anchors(event);
  });
  applyLegend(figure);
}

function applyLegend(figure) {
  if (!drawn.has(figure)) return;
  const off = new Set([...figure.querySelectorAll('[aria-pressed="false"]')].map((entry) => entry.dataset.group));
  const plot = figure.querySelector(".plot");
  if (!plot.data || !plot.data.some((trace) => trace.legendgroup)) return;
  const visible = plot.data.map((trace) => !off.has(trace.legendgroup));
  if (visible.some((is, place) => is !== (plot.data[place].visible !== false))) plotly.restyle(plot, { visible });
}

function redraw() {
  for (const figure of drawn) {
    const spec = specOf(figure);
    hoverTexts(spec);
    const shown = isDark() ? themed(spec) : spec;
    const plot = figure.querySelector(".plot");
    const width = isPrinting ? printWidth(figure) : undefined;
    plot.style.minWidth = isPrinting ? "0" : plot.dataset.least;
    const height = isPrinting && !spec.layout.meta.rows ? shown.layout.height - 70 : shown.layout.height;
    plot.style.height = `${height}px`;
    const layout = { ...shown.layout, autosize: width === undefined, width, height, dragmode: plot.layout.dragmode };
    plotly.react(plot, shown.data, layout);
    applyLegend(figure);
  }
}

// On A4 or Letter between the margins, 96 px to the inch.
function printWidth(figure) {
  const isAlone = figure.parentElement.matches(".is-single") || figure.matches(".is-wide");
  return isAlone ? 520 : 315;
}

async function unpackPlotly() {
  const source = await unpacked("plotly-packed");
  if (source === null) return;
  const script = make("script");
  script.textContent = source; // the page's policy knows this script by its hash
  document.head.append(script);
  plotly = window.Plotly;
}

function startCharts() {
  const figures = [...document.querySelectorAll("figure.chart")];
  if (!figures.length) return;
  for (const figure of figures) {
    const plot = figure.querySelector(".plot");
    const spec = specOf(figure);
    plot.dataset.least = plot.style.minWidth;
    plot.style.height = `${spec.layout.height}px`;
    for (const entry of figure.querySelectorAll("button.entry")) {
      entry.addEventListener("click", () => {
        entry.setAttribute("aria-pressed", entry.getAttribute("aria-pressed") === "true" ? "false" : "true");
        applyLegend(figure);
      });
    }
    const details = figure.querySelector(".numbers");
    details.addEventListener("toggle", () => {
      if (!details.open || details.querySelector("table")) return;
      const block = numbersTable(figure, specOf(figure));
      details.append(block);
      startTable(block);
    });
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  unpackPlotly().then(() => {
    if (!plotly) throw new Error("Plotly did not start");
    root.dataset.charts = "ready";
    figures.forEach((figure) => watcher.observe(figure));
  }).catch((error) => {
    root.dataset.charts = "failed";
    for (const figure of figures) {
      figure.querySelector(".plot").replaceChildren(make("p", { text: "This browser could not draw the chart; its numbers are below.", attributes: { class: "missing" } }));
    }
    console.error(error);
  });
}
