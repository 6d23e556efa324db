// The page of η and V: a box on the chart selects the rows of the table, a tap fills the panel, and the address of the
// page holds both, so that a view can be sent.
"use strict";

(() => {
  const plane = document.getElementById("plane");
  const choices = document.getElementById("choices");
  const frame = document.getElementById("frame");
  const rows = document.getElementById("rows");
  const panel = document.getElementById("panel");
  const ENDS = ["min_eta", "max_eta", "min_v", "max_v"];
  const home = window.location.pathname;
  let latest = 0;

  function write(values) {
    const query = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value === "" || value === null) query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    window.history.replaceState(null, "", `${home}${text ? `?${text}` : ""}`);
  }

  async function fill(place, address) {
    const response = await fetch(address, { headers: { accept: "text/html" } });
    const text = await response.text();
    const parsed = new DOMParser().parseFromString(text, "text/html");
    if (!response.ok) {
      const problem = document.createElement("p");
      problem.className = "problem";
      problem.textContent = parsed.querySelector(".problem")?.textContent ?? `The server answered ${response.status}.`;
      place.replaceChildren(problem);
      return;
    }
    place.replaceChildren(...parsed.body.childNodes);
    place.querySelectorAll("figure.chart[data-chart]").forEach((figure) => window.trapCharts.load(figure));
  }

  async function list() {
    const query = new URLSearchParams(window.location.search);
    query.delete("runcat");
    const number = ++latest;
    const place = document.createElement("div");
    await fill(place, `${home}/rows?${query}`);
    if (number !== latest) return; // a later box or cut has overtaken this one
    rows.replaceChildren(...place.childNodes);
    mark();
  }

  function mark() {
    const chosen = new URLSearchParams(window.location.search).get("runcat");
    rows.querySelectorAll("tr[data-runcat]").forEach((row) => row.classList.toggle("chosen", row.dataset.runcat === chosen));
  }

  function show(runcat) {
    write({ runcat });
    mark();
    const query = new URLSearchParams(window.location.search);
    return fill(panel, `${home}/source?${query}`);
  }

  function ranges(values) {
    for (const name of ENDS) frame.elements[name].value = values[name] ?? "";
    write(Object.fromEntries(ENDS.map((name) => [name, frame.elements[name].value.trim()])));
    return list();
  }

  plane.addEventListener("chart:range", ({ detail: { eta, v } }) => {
    const four = (value) => String(Number(value.toPrecision(4)));
    ranges({ min_eta: four(eta[0]), max_eta: four(eta[1]), min_v: four(v[0]), max_v: four(v[1]) });
  });
  plane.addEventListener("chart:point", ({ detail: { runcat } }) => show(runcat));
  // A cut has moved, or the flux density or band has changed.
  let drawn = 0;
  plane.addEventListener("chart:drawn", () => drawn++ && list());
  rows.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-runcat]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.dataset.runcat);
  });
  choices.addEventListener("input", () => {
    choices.querySelectorAll("output[data-of]").forEach((output) => {
      output.textContent = Number(choices.elements[output.dataset.of].value);
    });
  });
  frame.addEventListener("submit", (event) => {
    event.preventDefault();
    ranges(Object.fromEntries(ENDS.map((name) => [name, frame.elements[name].value.trim()])));
  });
  frame.addEventListener("reset", (event) => {
    event.preventDefault();
    ranges({});
  });
  mark();
})();
