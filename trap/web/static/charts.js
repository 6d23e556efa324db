// Charts: every <figure class="chart" data-chart="ADDRESS"> is fetched from its address and drawn by Bokeh.
//
// A form with data-chart-form="ID" controls the figure with this id, or all figures of the page if the value is empty.
// Its state becomes the query of the figure's address, and of the page's own, so that a view can be sent.
//
// Events of a figure, which bubble:
//   chart:drawn  detail {facts, notes}           after each drawing
//   chart:point  detail {image} or {runcat}      a tap on a point
//   chart:range  detail {x: [low, high], y: …}   a box that was drawn; for η–V also {v, eta}
"use strict";

(() => {
  const DARK = window.matchMedia("(prefers-color-scheme: dark)");
  // Colours of trap/web/charts/style.py, and the ones that a dark page has in their place.
  const EXCHANGED = [["#24292f", "#d7dbe0"], ["#d8dee4", "#3a404a"], ["#0072b2", "#3d9be0"], ["#7d8590", "#8f98a3"]];
  const PATIENCE_MS = 200;
  const LONGEST_MS = 3000;
  const states = new WeakMap();

  function query(form) {
    const values = new URLSearchParams();
    for (const field of form.elements) {
      if (!field.name || field.disabled || field.type === "submit" || field.type === "button") continue;
      if (field.type === "checkbox" && field.value === "1") values.append(field.name, field.checked ? "1" : "0");
      else if ((field.type === "checkbox" || field.type === "radio") && !field.checked) continue;
      else if (field.value !== "") values.append(field.name, field.value);
    }
    // Of choices that may be several, none is a choice too: an empty value, in place of no value at all.
    for (const field of form.elements) {
      if (field.type === "checkbox" && field.value !== "1" && !values.has(field.name)) values.append(field.name, "");
    }
    return values;
  }

  // Return the query of an address with the values of a form in place of its own values of the same names.
  function merged(search, form) {
    const values = new URLSearchParams(search);
    for (const field of form.elements) if (field.name) values.delete(field.name);
    for (const [name, value] of query(form)) values.append(name, value);
    return values;
  }

  function address(figure) {
    const url = new URL(figure.dataset.chart, window.location.href);
    for (const form of forms(figure)) url.search = merged(url.search, form);
    return url;
  }

  function forms(figure) {
    return [...document.querySelectorAll("form[data-chart-form]")].filter((form) => figures(form).includes(figure));
  }

  function figures(form) {
    const id = form.dataset.chartForm;
    return id ? [document.getElementById(id)].filter(Boolean) : [...document.querySelectorAll("figure.chart")];
  }

  function part(figure, name, kind = "div") {
    let found = figure.querySelector(`:scope > .${name}`);
    if (!found) {
      found = document.createElement(kind);
      found.className = name;
      figure.append(found);
    }
    return found;
  }

  function emit(figure, name, detail) {
    figure.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }

  async function load(figure) {
    const state = states.get(figure) ?? {};
    states.set(figure, state);
    state.request?.abort();
    const request = (state.request = new AbortController());
    figure.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address(figure), { signal: request.signal, headers: { accept: "application/json" } });
      const text = await response.text();
      if (!response.ok) throw new Error(reason(text) ?? `the server answered ${response.status}`);
      state.text = text;
      await draw(figure, state);
      part(figure, "problem", "p").remove();
    } catch (error) {
      if (error.name === "AbortError") return;
      figure.style.minHeight = "";
      const sentence = part(figure, "problem", "p");
      sentence.setAttribute("role", "alert");
      sentence.textContent = `This chart cannot be drawn: ${error.message}.`;
    }
    figure.removeAttribute("aria-busy");
  }

  function reason(text) {
    try {
      return JSON.parse(text).error;
    } catch {
      return null;
    }
  }

  async function draw(figure, state) {
    let text = state.text;
    if (DARK.matches) for (const [light, dark] of EXCHANGED) text = text.replaceAll(light, dark);
    const answer = JSON.parse(text);
    const place = part(figure, "chart-plot");
    const height = place.offsetHeight;
    if (height) place.style.minHeight = `${height}px`;
    state.views?.clear();
    place.replaceChildren();
    state.views = await window.Bokeh.embed.embed_item(answer.item, place);
    place.style.minHeight = "";
    figure.style.minHeight = "";
    for (const view of state.views) {
      listen(figure, view.model);
      await idle(view.model.document);
    }
    const notes = part(figure, "chart-notes");
    notes.setAttribute("aria-live", "polite");
    notes.replaceChildren(...answer.notes.map((note) => Object.assign(document.createElement("p"), { textContent: note })));
    emit(figure, "chart:drawn", { facts: answer.facts, notes: answer.notes });
  }

  // Wait until Bokeh has laid out and painted a chart, but not for ever: a chart out of sight is never painted.
  function idle(drawn) {
    if (!drawn || drawn.is_idle) return null;
    return Promise.race([
      new Promise((resolve) => drawn.idle.connect(resolve)),
      new Promise((resolve) => window.setTimeout(resolve, LONGEST_MS)),
    ]);
  }

  function listen(figure, root) {
    const plots = [...root.references()].filter((model) => model.type === "Figure");
    for (const plot of plots) {
      plot.on_event("selectiongeometry", (event) => selected(figure, plot, event));
    }
  }

  function selected(figure, plot, event) {
    const geometry = event.geometry;
    if (geometry.type === "point") {
      for (const { data_source: source } of plot.renderers) {
        const rows = source?.name === "points" ? source.selected.indices : [];
        if (!rows.length) continue;
        const detail = {};
        for (const name of ["image", "runcat"]) {
          const column = source.get_column?.(name) ?? source.data[name];
          if (column) detail[name] = Number(column[rows[0]]);
        }
        offer(figure, detail);
        emit(figure, "chart:point", detail);
        return;
      }
    } else if (geometry.type === "rect" && event.final) {
      const x = [geometry.x0, geometry.x1].sort((a, b) => a - b);
      const y = [geometry.y0, geometry.y1].sort((a, b) => a - b);
      emit(figure, "chart:range", { x, y, v: x, eta: y });
    }
  }

  // Below a chart of a dataset, write a link to the image or source of a point.
  function offer(figure, detail) {
    const home = /^(\/datasets\/\d+)\/charts\//.exec(new URL(figure.dataset.chart, window.location.href).pathname);
    if (!home) return;
    const [word, number] = "image" in detail ? ["image", detail.image] : ["source", detail.runcat];
    const place = part(figure, "chart-chosen", "p");
    const link = document.createElement("a");
    link.href = `${home[1]}/${word}s/${number}`;
    link.textContent = `Open ${word} ${number}`;
    place.setAttribute("aria-live", "polite");
    place.replaceChildren(link);
  }

  function follow(form) {
    let timer;
    const change = () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => {
        const values = merged(window.location.search, form).toString();
        window.history.replaceState(null, "", `${window.location.pathname}${values ? `?${values}` : ""}${window.location.hash}`);
        figures(form).forEach(load);
      }, PATIENCE_MS);
    };
    form.addEventListener("input", change);
    form.addEventListener("change", change);
    form.addEventListener("reset", () => window.setTimeout(change));
    form.addEventListener("submit", (event) => {
      if (form.dataset.chartSubmit !== undefined) return;
      event.preventDefault();
      change();
    });
  }

  function start() {
    document.querySelectorAll("form[data-chart-form]").forEach(follow);
    const all = document.querySelectorAll("figure.chart[data-chart]");
    all.forEach(load);
    DARK.addEventListener("change", () => all.forEach((figure) => states.get(figure)?.text && draw(figure, states.get(figure))));
  }

  // For pages that add figures later: trapCharts.load(figure).
  window.trapCharts = { load };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
