// What makes the pages better; all of them work without it. A page is kept fresh by asking for it again
// when the server says that its runs changed, and swapping the parts marked `data-live`. What a person
// did meanwhile stays: scroll, focus, open details, ticked boxes, the step of a slider.

const MIN_GAP = 1000; // Milliseconds between two fetches of the page.
/** The path below which a proxy shows the pages, or nothing. */
const BASE = document.querySelector("a.brand").pathname.replace(/\/$/, "");
const POLL = 5000; // Milliseconds between fetches while there is no event stream.

/** The server's HTML of each live part, to swap only what differs. */
const known = new Map();
/** Steps chosen on sliders, by gallery; absent while a slider follows the latest. */
const chosen = new Map();

const linkState = document.getElementById("link-state");
let source = null;
let poll = 0;
let timer = 0;
let lastFetch = 0;
let fetching = null;
let waiting = 0;

// ---- Fresh parts

function liveParts(root) {
  return [...root.querySelectorAll("[data-live][id]")];
}

function isBeingUsed(part) {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return false;
  return active.matches("input:not([type=checkbox]):not([type=range]), select, textarea") || part.querySelector("details.menu[open]");
}

/** Carries over what a person did in the old part. */
function keep(old, fresh) {
  for (const details of old.querySelectorAll("details[id]")) {
    const twin = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (twin) twin.open = details.open;
  }
  for (const box of old.querySelectorAll("input[type=checkbox][id]:checked")) {
    const twin = fresh.querySelector(`#${CSS.escape(box.id)}`);
    if (twin) twin.checked = true;
  }
}

/** Where each scrolling box was; a box at its end stays at its end. */
function scrolls(part) {
  return [...part.querySelectorAll("[id]")]
    .filter((box) => box.scrollTop || box.scrollLeft || box.hasAttribute("data-tail"))
    .map((box) => ({ id: box.id, top: box.scrollTop, left: box.scrollLeft, end: box.scrollTop + box.clientHeight >= box.scrollHeight - 4 }));
}

function restoreScrolls(list) {
  for (const { id, top, left, end } of list) {
    const box = document.getElementById(id);
    if (!box) continue;
    box.scrollLeft = left;
    box.scrollTop = end && box.hasAttribute("data-tail") ? box.scrollHeight : top;
  }
}

/** A selector that finds the focused element again. */
function focusIn(part) {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return null;
  if (active.id) return `#${CSS.escape(active.id)}`;
  if (active.name) return `[name="${CSS.escape(active.name)}"][value="${CSS.escape(active.value)}"]`;
  const href = active.getAttribute("href");
  return href ? `a[href="${CSS.escape(href)}"]` : null;
}

function swap(fresh) {
  for (const part of liveParts(document)) {
    const twin = fresh.getElementById(part.id);
    if (!twin || known.get(part.id) === twin.outerHTML || isBeingUsed(part)) continue;
    known.set(part.id, twin.outerHTML);
    keep(part, twin);
    const boxes = scrolls(part);
    const focus = focusIn(part);
    part.replaceWith(document.adoptNode(twin));
    enhance(twin);
    restoreScrolls(boxes);
    if (focus) twin.querySelector(focus)?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
  if (fresh.body.dataset.follow) document.body.dataset.follow = fresh.body.dataset.follow;
}

async function refresh(href = location.href) {
  fetching?.abort();
  const control = new AbortController();
  fetching = control;
  lastFetch = Date.now();
  try {
    const answer = await fetch(href, { signal: control.signal, headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === `${BASE}/login`) return location.reload();
    if (!answer.ok) return;
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (fault) {
    if (fault.name !== "AbortError") say("offline");
  } finally {
    if (fetching === control) fetching = null;
  }
}

/** Asks again as long as a part says that something is under way that no event tells of. */
function pollParts() {
  if (waiting || !document.querySelector("[data-poll]")) return;
  waiting = setTimeout(() => { waiting = 0; if (document.hidden) pollParts(); else refresh().finally(pollParts); }, MIN_GAP);
}

/** An image that cannot be had is replaced by the sentence that came for it. */
async function explain(image) {
  const why = await fetch(image.src, { headers: { accept: "text/html" } }).then((answer) => answer.text()).catch(() => "");
  const said = new DOMParser().parseFromString(why, "text/html").querySelector("main .lead");
  const line = document.createElement("p");
  line.className = "fault";
  line.textContent = said?.textContent ?? "The image cannot be shown.";
  image.replaceWith(line);
}

function refreshSoon() {
  if (timer || document.hidden) return;
  timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, lastFetch + MIN_GAP - Date.now()));
}

function say(text) {
  if (linkState) linkState.textContent = text === "live" ? "" : text;
  document.documentElement.dataset.link = text;
}

// ---- The event stream, only while the page is looked at: browsers allow few connections to one server.

/** The runs that the page is about, or `all`. */
function follow() {
  return document.body.dataset.follow ?? "";
}

function concerns(runs) {
  return follow() === "all" || runs.some(({ run }) => follow().includes(run));
}

function connect() {
  if (!follow() || source || document.hidden) return;
  source = new EventSource(`${BASE}/live`);
  source.addEventListener("hello", () => { say("live"); stopPolling(); refreshSoon(); });
  source.addEventListener("missed", refreshSoon);
  source.addEventListener("runs", (event) => { if (concerns(JSON.parse(event.data))) refreshSoon(); });
  source.addEventListener("error", () => { say("reconnecting…"); startPolling(); });
}

function disconnect() {
  source?.close();
  source = null;
  stopPolling();
}

function startPolling() {
  poll ||= setInterval(() => { if (!source || source.readyState === EventSource.CLOSED) { source = null; connect(); } refreshSoon(); }, POLL);
}

function stopPolling() {
  clearInterval(poll);
  poll = 0;
}

// ---- Parts that script improves

/** Shows one image of a gallery at a time, with a slider over the steps. */
function slide(gallery) {
  const figures = [...gallery.querySelectorAll("figure")];
  if (figures.length < 2) return;
  const key = gallery.dataset.slider;
  const steps = figures.map((figure) => figure.dataset.step);
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", id: `${gallery.id}-slider`, min: 0, max: figures.length - 1 });
  slider.setAttribute("aria-label", `Step of ${key}`);
  const at = chosen.has(key) ? steps.indexOf(chosen.get(key)) : -1;
  slider.value = at < 0 ? figures.length - 1 : at;
  const label = document.createElement("output");
  const show = () => {
    const index = Number(slider.value);
    figures.forEach((figure, i) => { figure.hidden = i !== index; });
    for (const near of [index - 1, index + 1]) figures[near]?.querySelector("img")?.setAttribute("loading", "eager");
    label.textContent = `${index + 1} of ${figures.length}`;
    slider.setAttribute("aria-valuetext", `step ${steps[index]}`);
  };
  slider.addEventListener("input", () => {
    if (Number(slider.value) === figures.length - 1) chosen.delete(key);
    else chosen.set(key, steps[slider.value]);
    show();
  });
  const row = document.createElement("div");
  row.className = "slider";
  row.append(slider, label);
  figures[0].before(row);
  show();
}

/** A form whose answer is the same page: its fields go to the address, and the page is swapped. */
function auto(form) {
  let wait = 0;
  const go = () => {
    // A set of boxes that are all ticked is what no box at all is: it need not stand in the address.
    const sets = [...form.querySelectorAll("[data-all]")].map((set) => [...set.querySelectorAll("input")]);
    const whole = new Set(sets.filter((boxes) => boxes.every((box) => box.checked)).flat().map((box) => box.name));
    const query = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value !== "" && !whole.has(name)));
    const href = `${form.getAttribute("action")}?${query}`;
    history.replaceState(null, "", href);
    refresh(href);
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); go(); });
  const soon = () => {
    const smooth = form.querySelector("#smooth");
    if (smooth) document.getElementById("smooth-value").textContent = smooth.value;
    clearTimeout(wait);
    wait = setTimeout(go, 200);
  };
  form.addEventListener("input", soon);
  form.addEventListener("change", soon); // Some programs that fill in forms say only this.
  for (const button of form.querySelectorAll("button")) button.hidden = true;
}

/** A link whose answer is the same page: it goes to the address, and the page is swapped where it stands. */
function follows(event) {
  const link = event.target.closest?.("a[data-swap]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  refresh(link.href);
}

function enhance(root) {
  const all = (selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  all("[data-slider]").forEach(slide);
  all("form[data-auto]").forEach(auto);
  for (const image of all("img[data-or-text]")) {
    if (image.complete && !image.naturalWidth) explain(image);
    else image.addEventListener("error", () => explain(image), { once: true });
  }
  all("[data-update]").forEach((select) => select.addEventListener("change", () => document.getElementById("update").click()));
}

// ---- Theme and keyboard

const THEMES = ["system", "light", "dark"];

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("umbra-theme", name);
  } catch {
    // It holds for this page, then.
  }
  showTheme();
}

function showTheme() {
  const button = document.getElementById("theme");
  if (button) button.textContent = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[theme()];
}

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
}

function toggleShortcuts() {
  const dialog = document.getElementById("shortcuts");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

function moveInList(by) {
  const links = [...document.querySelectorAll("a.row-link")].filter((link) => link.offsetParent);
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

/** Where `g` and another key lead: the menu says it. */
const PLACES = Object.fromEntries([...document.querySelectorAll("nav a[data-key]")].map((link) => [link.dataset.key, link.getAttribute("href")]));
const KEYS = {
  "?": toggleShortcuts,
  "/": () => (document.querySelector("[data-filter]") ?? document.querySelector("main input:not([type=hidden]), main select"))?.focus(),
  j: () => moveInList(1),
  k: () => moveInList(-1),
  t: nextTheme,
};
let going = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape") return void document.activeElement?.blur();
  if (event.target.matches?.("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
  const wasGoing = Date.now() - going < 1500;
  going = event.key === "g" ? Date.now() : 0;
  if (wasGoing && PLACES[event.key]) return void location.assign(PLACES[event.key]);
  if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

document.getElementById("theme")?.addEventListener("click", nextTheme);
document.getElementById("keys")?.addEventListener("click", toggleShortcuts);
document.addEventListener("click", follows);
addEventListener("popstate", () => refresh());
document.addEventListener("visibilitychange", () => { if (document.hidden) disconnect(); else connect(); });
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);

liveParts(document).forEach((part) => known.set(part.id, part.outerHTML));
enhance(document);
for (const tail of document.querySelectorAll("[data-tail]")) tail.scrollTop = tail.scrollHeight;
showTheme();
connect();
pollParts();
