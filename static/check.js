// While a study is typed, the server says whether it can be and what it takes.

const WAIT = 350; // Milliseconds without a key before the server is asked.
const form = document.querySelector("form[data-check]");
let timer = 0;
let asking = null;

async function ask() {
  asking?.abort();
  const control = new AbortController();
  asking = control;
  try {
    const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams(new FormData(form)), signal: control.signal });
    if (answer.status === 401) return location.reload();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("verdict");
    if (fresh) document.getElementById("verdict").replaceWith(document.adoptNode(fresh));
  } catch {
    // Another key was pressed meanwhile, or the server is away: the next key asks again, and saving checks anyway.
  }
}

form?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT);
});
