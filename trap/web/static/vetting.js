// Keys of the page on which candidates are rated: each presses the button, link or tag that shows it.
"use strict";

(() => {
  // Letters in a field are text. A checkbox takes no letters.
  const isTyping = (element) => element.closest("textarea, select, input:not([type=checkbox])") !== null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    // A key that is held down must not rate the candidates that follow.
    if (event.repeat || event.key.length !== 1) return;
    const control = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (control === null) return;
    event.preventDefault();
    control.click();
  });

  // A second click before the next page is there must not send the rating twice.
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
  }
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  // The server answers a picture that it cannot draw with the reason.
  async function explain(image) {
    const sentence = document.createElement("p");
    sentence.className = "problem";
    try {
      const response = await fetch(image.src);
      sentence.textContent = response.ok ? "The picture cannot be shown." : (await response.json()).error;
    } catch {
      sentence.textContent = "The server does not answer.";
    }
    image.replaceWith(sentence);
  }
  for (const image of document.querySelectorAll(".picture img")) {
    if (image.complete && image.naturalWidth === 0) explain(image);
    else image.addEventListener("error", () => explain(image), { once: true });
  }
})();
