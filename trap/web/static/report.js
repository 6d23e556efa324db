/* Draws the charts of a report from the values that the file holds, and exchanges them for pictures on paper. */
"use strict";

(() => {
  // Colours of trap/web/charts/style.py, and the ones that a dark page has in their place.
  const EXCHANGED = { "#24292f": "#d7dbe0", "#d8dee4": "#3a404a", "#0072b2": "#3d9be0", "#7d8590": "#8f98a3" };
  const isDark = matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();

  function values(figure) {
    let text = document.getElementById(figure.dataset.item).textContent;
    if (isDark.matches) {
      for (const [light, dark] of Object.entries(EXCHANGED)) text = text.replaceAll(light, dark);
    }
    return JSON.parse(text);
  }

  async function draw(figure) {
    const place = figure.querySelector(".plot");
    views.get(figure)?.clear();
    place.replaceChildren();
    figure.classList.toggle("dark", isDark.matches);
    try {
      views.set(figure, await Bokeh.embed.embed_item(values(figure).item, place));
    } catch (error) {
      const note = document.createElement("p");
      note.className = "problem";
      note.textContent = `This chart cannot be drawn: ${error.message}`;
      place.replaceChildren(note);
      throw error;
    }
  }

  // One after the other, with a pause for the reader's scrolling in between; a print needs all of them.
  async function drawAll() {
    document.body.dataset.charts = "pending";
    for (const figure of document.querySelectorAll("figure[data-item]")) {
      await draw(figure);
      await new Promise((done) => setTimeout(done));
    }
    document.body.dataset.charts = "drawn";
  }

  // A chart is as wide as the screen, and drawn too late for the width of a page. A picture of it fits any width.
  function takePictures() {
    for (const [figure, drawn] of views) {
      const view = [...drawn][0];
      if (!view || figure.querySelector(".on-paper")) continue;
      const picture = document.createElement("img");
      picture.className = "on-paper";
      picture.alt = figure.getAttribute("aria-label");
      picture.src = view.export("png", true).canvas.toDataURL();
      figure.prepend(picture);
    }
  }

  isDark.addEventListener("change", drawAll);
  addEventListener("beforeprint", takePictures);
  addEventListener("afterprint", () => document.querySelectorAll(".on-paper").forEach((picture) => picture.remove()));
  addEventListener("DOMContentLoaded", drawAll);
})();
