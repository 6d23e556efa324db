// The progress of a position that is measured in the background; without this script the page loads itself again.
"use strict";

const job = document.getElementById("job");

async function poll() {
  try {
    const response = await fetch(job.dataset.progress, { headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const progress = await response.json();
    if (!progress.active) {
      window.location.reload();
      return;
    }
    const bar = document.getElementById("bar");
    bar.max = progress.all || 1;
    bar.value = progress.done;
    const text = document.getElementById("progress");
    if (text.textContent !== progress.text) text.textContent = progress.text;
    window.setTimeout(poll, 500);
  } catch (error) {
    document.getElementById("progress").textContent = `The progress is unknown (${error.message}); load this page again.`;
    window.setTimeout(poll, 5000);
  }
}

if (job) window.setTimeout(poll, 300);
