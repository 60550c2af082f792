// What every part uses: making elements, copying, saying; the theme; the contents list.
"use strict";
const root = document.documentElement;
const facts = JSON.parse(document.getElementById("page-facts").textContent);

function make(tag, { text, attributes = {}, children = [] } = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

function button(text, press, attributes = {}) {
  const element = make("button", { text, attributes: { type: "button", class: "plain", ...attributes } });
  element.addEventListener("click", press);
  return element;
}

function say(text) {
  document.getElementById("page-said").textContent = text;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not every browser lets a file on disk use the clipboard; a selected text can be copied in all of them.
    const area = make("textarea", { attributes: { class: "sr", "aria-hidden": "true" } });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) {
      say(`${what} could not be copied`);
      return false;
    }
  }
  say(`${what} copied`);
  return true;
}

function copyButton(name, what, content) {
  const pressed = button(name, async () => {
    const done = await copy(content(), what);
    pressed.textContent = done ? "copied" : "not copied";
    setTimeout(() => { pressed.textContent = name; }, 1500);
  });
  return pressed;
}

async function unpacked(id) {
  const element = document.getElementById(id);
  if (!element) return null;
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function shortNumber(value) {
  if (typeof value !== "number") return value === null || value === undefined ? "" : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  return String(Number(value.toPrecision(4)));
}

// Theme: as the system has it, unless the reader says otherwise; kept where the browser allows it.
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let isPrinting = false;

function isDark() {
  if (isPrinting) return false;
  return root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches;
}

function kept(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // storage is switched off: the choice lasts as long as the page
  }
  return null;
}

function startTheme(changed) {
  const label = document.querySelector(".theme");
  const select = label.querySelector("select");
  const apply = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    changed();
  };
  label.hidden = false;
  const before = kept("tunescope-theme");
  if (before === "light" || before === "dark") {
    select.value = before;
    apply(before);
  }
  select.addEventListener("change", () => {
    kept("tunescope-theme", select.value);
    apply(select.value);
  });
  systemIsDark.addEventListener("change", changed);
}

// Contents: open beside the report, closed above it; the section in view is marked.
function startContents() {
  const details = document.querySelector("#contents details");
  const isWide = matchMedia("(min-width: 64.01rem)");
  const fit = () => { details.open = isWide.matches; };
  isWide.addEventListener("change", fit);
  fit();
  details.querySelector("summary").addEventListener("click", (event) => {
    if (isWide.matches) event.preventDefault();
  });
  const links = new Map([...details.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  details.addEventListener("click", (event) => {
    if (event.target.closest("a") && !isWide.matches) details.open = false;
  });
  const parts = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  let waiting = false;
  const mark = () => {
    waiting = false;
    const line = window.innerHeight * 0.3;
    let current = parts[0];
    for (const part of parts) if (part.getBoundingClientRect().top <= line) current = part;
    for (const [id, link] of links) {
      if (current && id === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", () => {
    if (!waiting) { waiting = true; requestAnimationFrame(mark); }
  }, { passive: true });
  mark();
}

function startCommands() {
  for (const block of document.querySelectorAll(".commands")) {
    const tools = make("p", { attributes: { class: "tools" } });
    tools.append(copyButton("Copy", "Commands", () => block.querySelector("code").textContent));
    block.append(tools);
  }
}
