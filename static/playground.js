// The playground asks again whenever something changes, and shows the answer in place. The form works without it.

const form = document.getElementById("play");
const status = document.getElementById("status");
/** The path below which a proxy shows the pages, or nothing. */
const BASE = document.querySelector("a.brand").pathname.replace(/\/$/, "");
const WAIT = 60; // Milliseconds of quiet before a question is asked.

let timer = 0;
let asking = null;
let asked = ""; // The question that is asked or answered.
let last = null; // Number of the last validation image, once an answer told it.

// ---- The state of the form, as the address has it

function isOwn() {
  return form.elements.mask.value === "own";
}

function boxes() {
  return [...form.querySelectorAll("#patches input")];
}

function digits() {
  const hidden = boxes().map((box) => box.checked);
  let text = "";
  for (let at = 0; at < hidden.length; at += 4) {
    text += [8, 4, 2, 1].reduce((sum, bit, i) => sum + (hidden[at + i] ? bit : 0), 0).toString(16);
  }
  return text;
}

function query() {
  const { a, b, image, upload, ratio, seed, denorm } = form.elements;
  const pairs = { a: a.value, b: b.value };
  if (upload.value) pairs.upload = upload.value;
  else pairs.image = image.value || "0";
  if (isOwn()) pairs.hide = digits();
  else Object.assign(pairs, { ratio: ratio.value, seed: seed.value || "0" });
  if (denorm.selectedIndex > 0) pairs.denorm = denorm.value;
  return new URLSearchParams(Object.entries(pairs).filter(([, value]) => value !== ""));
}

// ---- Asking

function ask() {
  clearTimeout(timer);
  timer = setTimeout(() => { if (`${query()}` !== asked) askNow(); }, WAIT);
}

async function askNow() {
  asking?.abort();
  const control = new AbortController();
  asking = control;
  asked = `${query()}`;
  const address = `${BASE}/playground/answer?${asked}`;
  history.replaceState(null, "", `${BASE}/playground?${asked}`);
  document.getElementById("answer").setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    let answer;
    do {
      answer = await fetch(address, { signal: control.signal });
      if (answer.status === 401) return location.reload();
      if (answer.status === 202) status.textContent = `${await answer.text()}… ${Math.round((performance.now() - began) / 1000)} s`;
    } while (answer.status === 202);
    if (!answer.ok) throw new Error(await reason(answer));
    show(await answer.text());
    status.textContent = `answered in ${Math.round(performance.now() - began)} ms`;
  } catch (fault) {
    if (fault.name === "AbortError") return;
    status.textContent = fault instanceof TypeError ? "the server cannot be reached" : fault.message;
  } finally {
    if (asking === control) {
      asking = null;
      document.getElementById("answer").removeAttribute("aria-busy");
    }
  }
}

/** Why a request was refused, in the server's words. */
async function reason(answer) {
  const said = await answer.json().catch(() => null);
  return said?.error?.message ?? `the server answered ${answer.status}`;
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("answer");
  const scrolled = [...document.querySelectorAll("#answer .scroll")].map((box) => box.scrollLeft);
  document.getElementById("answer").replaceWith(document.adoptNode(fresh));
  document.querySelectorAll("#answer .scroll").forEach((box, i) => { box.scrollLeft = scrolled[i] ?? 0; });
  if (fresh.dataset.last) {
    last = Number(fresh.dataset.last);
    form.elements.image.max = last;
  }
  if (fresh.dataset.original) {
    const under = document.getElementById("under");
    under.src = fresh.dataset.original;
    under.hidden = false;
  }
  // Selected patches stay; random ones are known only now.
  if (fresh.dataset.hidden && !isOwn()) tick(fresh.dataset.hidden);
}

function tick(hidden) {
  boxes().forEach((box, at) => { box.checked = (parseInt(hidden[at >> 2], 16) & (8 >> (at & 3))) !== 0; });
}

// ---- The patches

/** Lays out another number of patches when the model has another grid; selected patches do not fit it. */
function lay(grid) {
  const patches = document.getElementById("patches");
  if (Number(patches.dataset.grid) === grid) return;
  patches.dataset.grid = grid;
  patches.querySelectorAll(".patch-row").forEach((row) => row.remove());
  for (let row = 0; row < grid; row++) {
    const line = document.createElement("div");
    line.className = "patch-row";
    for (let column = 0; column < grid; column++) {
      const patch = row * grid + column;
      const box = document.createElement("input");
      Object.assign(box, { type: "checkbox", name: "p", value: patch, id: `p-${patch}`, tabIndex: -1 });
      box.setAttribute("aria-label", `Patch ${patch + 1}`);
      line.append(box);
    }
    patches.append(line);
  }
  form.elements.mask.value = "drawn";
  rove(0);
}

/** One patch at a time can be reached with the tabulator, the others with arrow keys. */
function rove(to, focus) {
  boxes().forEach((box, at) => { box.tabIndex = at === to ? 0 : -1; });
  if (focus) boxes()[to]?.focus();
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function walk(event) {
  const step = STEPS[event.key];
  if (!step || !event.target.matches("#patches input")) return;
  event.preventDefault();
  const grid = Number(document.getElementById("patches").dataset.grid);
  const at = boxes().indexOf(event.target);
  const [row, column] = [Math.floor(at / grid) + step[0], (at % grid) + step[1]];
  if (row >= 0 && row < grid && column >= 0 && column < grid) rove(row * grid + column, true);
}

/** Dragging over patches does to all what it did to the first. */
let brush = null;

function press(event) {
  if (!event.target.matches("#patches input") || event.button !== 0) return;
  event.preventDefault();
  brush = !event.target.checked;
  paint(event.target);
  rove(boxes().indexOf(event.target), true);
}

function paint(box) {
  if (brush === null || box.checked === brush) return;
  box.checked = brush;
  form.elements.mask.value = "own";
  ask();
}

function drag(event) {
  const over = document.elementFromPoint(event.clientX, event.clientY);
  if (brush !== null && over?.matches("#patches input")) paint(over);
}

// ---- Images

function go(to) {
  form.elements.upload.value = "";
  form.elements.image.value = Math.max(0, last === null ? to : Math.min(last, to));
  showSource();
  ask();
}

function showSource() {
  document.getElementById("own-off").hidden = !form.elements.upload.value;
}

async function handIn(file) {
  if (!file) return;
  if (file.size > 8 * 1024 * 1024) {
    status.textContent = `${file.name} has ${(file.size / 1048576).toFixed(1)} MiB: at most 8 MiB are allowed`;
    return;
  }
  status.textContent = `uploading ${file.name}…`;
  const body = new FormData();
  body.append("file", file);
  try {
    const answer = await fetch(`${BASE}/playground/upload`, { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(await reason(answer));
    form.elements.upload.value = (await answer.json()).upload;
    showSource();
    askNow();
  } catch (fault) {
    status.textContent = fault instanceof TypeError ? "the server cannot be reached" : fault.message;
  }
}

// ---- Wiring

if (form) {
  const { a, image, ratio, file } = form.elements;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const step = { previous: -1, next: 1 }[event.submitter?.value];
    if (step) go(Number(image.value) + step);
    else askNow();
  });
  const changed = ({ target }) => {
    if (target === file) return;
    if (target === a) lay(Number(a.selectedOptions[0].dataset.grid));
    if (target === ratio || target.name === "seed") form.elements.mask.value = "drawn";
    if (target === image) form.elements.upload.value = "";
    if (target.name === "p") form.elements.mask.value = "own";
    document.getElementById("ratio-value").textContent = ratio.value;
    showSource();
    ask();
  };
  // Not every way to choose from a list tells of both.
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  document.getElementById("random").addEventListener("click", () => go(Math.floor(Math.random() * ((last ?? 99) + 1))));
  document.getElementById("own-off").addEventListener("click", () => go(Number(image.value)));
  file.addEventListener("change", () => handIn(file.files[0]));
  const drop = document.getElementById("drop");
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    handIn(event.dataTransfer.files[0]);
  });
  const patches = document.getElementById("patches");
  patches.addEventListener("keydown", walk);
  patches.addEventListener("pointerdown", press);
  // The press has done it; the click that follows would undo it.
  patches.addEventListener("click", (event) => { if (event.detail > 0 && event.target.matches("input")) event.preventDefault(); });
  addEventListener("pointermove", drag);
  addEventListener("pointerup", () => { brush = null; });
  for (const button of form.querySelectorAll(".no-js")) button.hidden = true;
  rove(0);
  askNow();
}
