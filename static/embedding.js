// The map is asked for when the page is there and whenever the form changes; pointing at it shows images.

const form = document.getElementById("embedding");
const status = document.getElementById("status");
let asking = null;

async function ask() {
  asking?.abort();
  const control = new AbortController();
  asking = control;
  const query = new URLSearchParams(new FormData(form));
  history.replaceState(null, "", `${form.getAttribute("action")}?${query}`);
  const began = performance.now();
  try {
    let answer;
    do {
      answer = await fetch(`${form.getAttribute("action")}/map?${query}`, { signal: control.signal });
      if (answer.status === 401) return location.reload();
      if (answer.status === 202) status.textContent = `${await answer.text()}… ${Math.round((performance.now() - began) / 1000)} s`;
    } while (answer.status === 202);
    if (!answer.ok) throw new Error(await reason(answer));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("map");
    document.getElementById("map").replaceWith(document.adoptNode(fresh));
    status.textContent = "";
  } catch (fault) {
    if (fault.name === "AbortError") return;
    status.textContent = fault instanceof TypeError ? "the server cannot be reached" : fault.message;
  }
}

/** Why a request was refused, in the server's words. */
async function reason(answer) {
  const said = await answer.json().catch(() => null);
  return said?.error?.message ?? `the server answered ${answer.status}`;
}

/** Shows the image of a point. */
function peek(point) {
  const box = document.getElementById("peek");
  const image = box.querySelector("img");
  const run = form.getAttribute("action").replace(/\/embedding$/, "");
  image.src = `${run}/validation/${point.dataset.index}.png`;
  image.alt = point.dataset.class;
  image.hidden = false;
  box.querySelector("figcaption").textContent = `${point.dataset.class}, image ${point.dataset.index}`;
}

form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
form.addEventListener("change", ask);
document.addEventListener("pointerover", (event) => {
  const point = event.target.closest?.("#map a[data-index]");
  if (point) peek(point);
});
ask();
