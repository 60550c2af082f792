// Examples that methods answer differently: chosen by task, method and words, sorted, twenty at a time.
const PER_PAGE = 20;

function choice(name, options, changed, attributes = {}) {
  const select = make("select", { attributes, children: options.map(([value, text]) => make("option", { text, attributes: { value } })) });
  select.addEventListener("change", changed);
  return { select, label: make("label", { children: [make("bdi", { text: name }), select] }) };
}

function spread(example) {
  const shares = Object.values(example.right);
  return shares.length ? Math.max(...shares) - Math.min(...shares) : 0;
}

function isWanted(share, wanted) {
  if (!wanted) return true;
  if (share === undefined) return false;
  if (wanted === "right") return share >= 1;
  return wanted === "wrong" ? share <= 0 : share > 0 && share < 1;
}

function percent(share) {
  return `${(Math.round(share * 1000) / 10).toFixed(share === 0 || share === 1 ? 0 : 1)}%`;
}

function answersList(example) {
  const groups = new Map();
  for (const [run, answer, isRight] of example.answers) {
    const key = JSON.stringify([answer, isRight]);
    if (!groups.has(key)) groups.set(key, { answer, isRight, runs: [] });
    groups.get(key).runs.push(run);
  }
  const told = { true: ["✓ right", "is-good"], false: ["✗ wrong", "is-bad"], null: ["answer", "is-faint"] };
  return make("ul", { attributes: { class: "answers" }, children: [...groups.values()].map(({ answer, isRight, runs }) => {
    const [text, tone] = told[isRight];
    return make("li", { children: [
      make("span", { text, attributes: { class: `told ${tone}` } }),
      make("div", { children: [
        make("p", { text: answer, attributes: { class: "answer", dir: "auto" } }),
        make("p", { attributes: { class: "runs" }, children: runs.flatMap((run, place) => [...(place ? [", "] : []), make("bdi", { text: run })]) }),
      ] }),
    ] });
  }) });
}

function card(example) {
  const fields = make("dl", { attributes: { class: "fields" }, children: example.texts.map(([name, text]) =>
    make("div", { children: [make("dt", { text: name }), make("dd", { text, attributes: { dir: "auto" } })] })) });
  const target = make("p", { attributes: { class: "target" }, children: [
    make("span", { text: "target" }), make("b", { text: example.target, attributes: { dir: "auto" } }),
  ] });
  const shares = make("p", { attributes: { class: "shares" }, children: Object.entries(example.right).map(([method, share]) => {
    const spot = methodSpot(method);
    return make("span", { children: [...(spot ? [spot] : []), make("bdi", { text: method }), ` ${percent(share)} right`] });
  }) });
  return make("article", { attributes: { class: "example" }, children: [
    make("h3", { children: [make("bdi", { text: example.task }), " · ", make("bdi", { text: example.id })] }),
    fields, target, answersList(example), shares,
  ] });
}

function methodSpot(method) {
  const place = facts.methods.indexOf(method);
  const sample = place < 0 ? null : document.querySelectorAll(".lead .methods .sample")[place];
  if (!sample) return null;
  const spot = sample.cloneNode(true);
  spot.setAttribute("class", sample.getAttribute("class").replace("sample", "spot"));
  spot.setAttribute("viewBox", "8 0 12 12");
  spot.setAttribute("width", "10");
  spot.setAttribute("height", "10");
  spot.querySelector(":scope > path")?.remove();
  return spot;
}

function startExamplesOf(place, all) {
  let page = 0;
  const tasks = [...new Set(all.map((one) => one.task))];
  const methods = facts.methods.filter((name) => all.some((one) => name in one.right));
  const list = make("div");
  const found = make("p", { attributes: { class: "found", "aria-live": "polite" } });
  const changed = () => { page = 0; show(); };
  const search = make("input", { attributes: { type: "search", autocomplete: "off", spellcheck: "false" } });
  search.addEventListener("input", changed);
  const task = choice("Task", [["", "all"], ...tasks.map((name) => [name, name])], changed);
  const order = choice("Sort", [["", "as given"], ["spread", "most different first"], ["id", "by id"], ["long", "longest text first"]], changed);
  const states = [["", "any"], ["right", "right with every seed"], ["mixed", "differs by seed"], ["wrong", "wrong with every seed"]];
  const byMethod = methods.map((name) => ({ name, ...choice(name, states, changed) }));
  const orders = {
    spread: (one, other) => spread(other) - spread(one),
    id: (one, other) => byWords.compare(one.task, other.task) || byWords.compare(one.id, other.id),
    long: (one, other) => lengthOf(other) - lengthOf(one),
  };
  const lengthOf = (one) => one.texts.reduce((sum, [, text]) => sum + text.length, 0);
  const words = all.map((one) => [one.id, one.target, ...one.texts.flat(), ...one.answers.map(([, answer]) => answer)].join("\n").toLowerCase());
  const previous = button("Previous 20", () => { page -= 1; show(true); });
  const following = button("Next 20", () => { page += 1; show(true); });

  function show(isTurned = false) {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = all.filter((one, i) =>
      (!task.select.value || one.task === task.select.value)
      && byMethod.every(({ name, select }) => isWanted(one.right[name], select.value))
      && wanted.every((word) => words[i].includes(word)));
    if (order.select.value) shown.sort(orders[order.select.value]);
    const first = page * PER_PAGE;
    const last = Math.min(first + PER_PAGE, shown.length);
    list.replaceChildren(...shown.slice(first, last).map(card));
    found.textContent = shown.length ? `${first + 1} to ${last} of ${shown.length} examples` : "No example fits.";
    if (shown.length && shown.length < all.length) found.textContent += ` (${all.length} in all)`;
    previous.disabled = page === 0;
    following.disabled = last >= shown.length;
    if (isTurned) found.scrollIntoView({ block: "start" });
  }

  const choices = make("div", { attributes: { class: "choices" }, children: [
    ...(tasks.length > 1 ? [task.label] : []),
    ...byMethod.map(({ label }) => label),
    order.label,
    make("label", { text: "Words", children: [search] }),
  ] });
  place.replaceChildren(choices, found, list, make("p", { attributes: { class: "pages" }, children: [previous, following] }));
  show();
}

async function startExamples() {
  const text = await unpacked("examples-packed");
  if (text === null) return;
  const bySection = JSON.parse(text);
  for (const place of document.querySelectorAll("[data-examples]")) startExamplesOf(place, bySection[place.dataset.examples]);
  root.dataset.examples = "ready";
}
