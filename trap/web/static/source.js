// The page of a source: a point of the light curve, or a link of the table, shows the cut-out of its epoch.
"use strict";

(() => {
  const epoch = document.getElementById("epoch");

  function say(place, text) {
    const sentence = document.createElement("p");
    sentence.className = "problem";
    sentence.textContent = text;
    place.replaceChildren(sentence);
  }

  // The server answers a picture that it cannot draw with the reason; a browser shows the alternative text only.
  async function explain(image) {
    const place = image.closest("[data-cutout]");
    if (!place || place.dataset.failed || image.classList.contains("marks")) return;
    place.dataset.failed = "yes";
    try {
      const response = await fetch(image.src);
      say(place, response.ok ? "The picture cannot be shown." : (await response.json()).error);
    } catch {
      say(place, "The server does not answer.");
    }
    place.style.aspectRatio = "auto";
  }

  async function explainPicture(image) {
    const place = image.closest("[data-picture]");
    image.remove();
    place.classList.add("empty");
    const sentence = document.createElement("div");
    place.before(sentence);
    try {
      say(sentence, (await (await fetch(image.src)).json()).error ?? "The picture cannot be shown.");
    } catch {
      say(sentence, "The server does not answer.");
    }
  }

  function watch(root) {
    for (const image of root.querySelectorAll("[data-picture] img")) {
      image.addEventListener("error", () => explainPicture(image));
      if (image.complete && !image.naturalWidth) explainPicture(image);
    }
    for (const image of root.querySelectorAll("[data-cutout] img")) {
      image.addEventListener("error", () => explain(image));
      if (image.complete && image.src && !image.naturalWidth && image.loading !== "lazy") explain(image);
    }
  }

  // Fragments of this server, whose texts are escaped.
  async function insert(place, address) {
    place.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      place.innerHTML = await response.text();
      watch(place);
    } catch (error) {
      say(place, `This cannot be shown: ${error.message}.`);
    }
    place.removeAttribute("aria-busy");
  }

  async function show(image) {
    await insert(epoch, `${epoch.dataset.base}/epochs/${encodeURIComponent(image)}?${epoch.dataset.query}`);
    for (const row of document.querySelectorAll("tr[data-image]")) {
      row.classList.toggle("chosen", row.dataset.image === String(image));
    }
  }

  document.addEventListener("chart:point", (event) => {
    if (epoch && Number.isInteger(event.detail?.image)) show(event.detail.image);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-epoch], a[data-matches]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.epoch) {
      show(Number(link.dataset.epoch));
      document.getElementById("epoch-heading").scrollIntoView({ block: "nearest" });
    } else {
      insert(document.getElementById("matches"), link.href);
    }
  });
  for (const marks of document.querySelectorAll("svg[data-place]")) {
    marks.addEventListener("click", (event) => {
      if (event.target.closest("a")) return;
      // The drawing counts from its top left corner, the image from the centre of its bottom left pixel.
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(marks.getScreenCTM().inverse());
      const place = { x: (x - 0.5).toFixed(2), y: (marks.viewBox.baseVal.height - y - 0.5).toFixed(2) };
      window.location = `${marks.dataset.place}?${new URLSearchParams(place)}`;
    });
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      button.textContent = "Copied";
      window.setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }
  watch(document);
})();
