// Tables: sorting, a filter, copying, keys that stay in view, links into rows that a filter hides.
const byWords = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function shownOf(cell) {
  return cell.textContent.trim();
}

function worthOf(cell) {
  return cell.dataset.v ?? shownOf(cell);
}

function bodyRows(table) {
  return [...table.tBodies[0].rows].filter((row) => row.cells.length === table.tHead.rows[0].cells.length);
}

function compareCells(one, other, isNumber) {
  const [left, right] = [worthOf(one), worthOf(other)];
  if (!isNumber) return byWords.compare(shownOf(one), shownOf(other));
  return Number(left) - Number(right);
}

function sortTable(table, place, order) {
  const rows = bodyRows(table);
  const isNumber = table.tHead.rows[0].cells[place].classList.contains("number");
  const isThere = (row) => {
    const worth = worthOf(row.cells[place]);
    return worth !== "" && !(isNumber && Number.isNaN(Number(worth)));
  };
  const start = (row) => Number(row.dataset.place);
  const sign = order === "descending" ? -1 : 1;
  rows.sort((one, other) => {
    if (order === "none") return start(one) - start(other);
    if (isThere(one) !== isThere(other)) return isThere(one) ? -1 : 1; // what is not there comes last either way
    const found = isThere(one) ? sign * compareCells(one.cells[place], other.cells[place], isNumber) : 0;
    return found || start(one) - start(other);
  });
  table.tBodies[0].append(...rows);
}

function startSorting(table) {
  const rows = bodyRows(table);
  if (rows.length < 2) return;
  rows.forEach((row, place) => { row.dataset.place = place; });
  const heads = [...table.tHead.rows[0].cells];
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  heads.forEach((head, place) => {
    const press = make("button", { attributes: { type: "button" } });
    press.append(...head.childNodes);
    head.append(press);
    press.addEventListener("click", () => {
      const order = next[head.getAttribute("aria-sort") ?? "none"];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (order !== "none") head.setAttribute("aria-sort", order);
      sortTable(table, place, order);
      say(order === "none" ? "order as at first" : `sorted by ${shownOf(head)}, ${order}`);
    });
  });
}

function startFilter(table, block) {
  const rows = bodyRows(table);
  const words = rows.map((row) => shownOf(row).toLowerCase());
  const input = make("input", { attributes: { type: "search", autocomplete: "off", spellcheck: "false" } });
  const count = make("span", { text: `${rows.length} rows`, attributes: { "aria-live": "polite" } });
  const label = make("label", { text: "Filter rows ", children: [input] });
  const apply = () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    rows.forEach((row, place) => {
      row.hidden = !wanted.every((word) => words[place].includes(word));
      found += row.hidden ? 0 : 1;
    });
    count.textContent = wanted.length ? `${found} of ${rows.length} rows` : `${rows.length} rows`;
  };
  input.addEventListener("input", apply);
  table.showAll = () => { input.value = ""; apply(); };
  block.prepend(make("div", { attributes: { class: "filter" }, children: [label, count] }));
}

function tableLines(table, read) {
  const heads = [...table.tHead.rows[0].cells].map(shownOf);
  const rows = bodyRows(table).filter((row) => !row.hidden).map((row) => [...row.cells].map(read));
  return [heads, ...rows];
}

function asMarkdown(table) {
  const clean = (text) => text.replace(/[\\|`*_<>[\]]/g, "\\$&").replace(/\s+/g, " ");
  const [heads, ...rows] = tableLines(table, shownOf).map((row) => row.map(clean));
  const rule = [...table.tHead.rows[0].cells].map((head) => (head.classList.contains("number") ? "--:" : "---"));
  return [heads, rule, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n") + "\n";
}

function asCsv(table) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return tableLines(table, worthOf).map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
}

// Keys stay in view where a table is wider than its place, as long as they leave most of it to the rest.
function stickKeys(table, scroll) {
  const heads = [...table.tHead.rows[0].cells];
  for (const cell of table.querySelectorAll(".is-stuck")) {
    cell.classList.remove("is-stuck", "is-last");
    cell.style.left = "";
  }
  if (scroll.scrollWidth <= scroll.clientWidth + 1) return;
  let left = 0;
  const lefts = [];
  for (const head of heads) {
    const width = head.getBoundingClientRect().width;
    if (!head.classList.contains("key") || left + width > scroll.clientWidth * 0.5) break;
    lefts.push(left);
    left += width;
  }
  for (const row of table.rows) {
    lefts.forEach((at, place) => {
      const cell = row.cells[place];
      if (!cell) return;
      cell.classList.add("is-stuck");
      cell.classList.toggle("is-last", place === lefts.length - 1);
      cell.style.left = `${at}px`;
    });
  }
}

function startTable(block) {
  const scroll = block.querySelector(".table-scroll");
  const table = block.querySelector("table");
  startSorting(table);
  if (table.hasAttribute("data-filter")) startFilter(table, block);
  const tools = block.querySelector("[data-tools]");
  const name = shownOf(table.caption);
  tools.prepend(
    copyButton("Copy as Markdown", `${name} as Markdown`, () => asMarkdown(table)),
    copyButton("as CSV", `${name} as CSV`, () => asCsv(table)),
  );
  let width = -1;
  new ResizeObserver(() => {
    if (scroll.clientWidth === width) return;
    width = scroll.clientWidth;
    stickKeys(table, scroll);
  }).observe(scroll);
}

// A link may lead to a row that a filter hides, or into a list that is folded.
function showTarget() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (const row of document.querySelectorAll("tr.is-target")) row.classList.remove("is-target");
  if (!target) return;
  if (target.hidden) target.closest("table").showAll();
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (target.matches("tr")) {
    target.classList.add("is-target");
    target.scrollIntoView({ block: "center", behavior: "instant" });
  }
}

function startTables() {
  document.querySelectorAll(".table-block").forEach(startTable);
  addEventListener("hashchange", showTarget);
}
