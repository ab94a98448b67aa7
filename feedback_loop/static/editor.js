// Renews the preview of a survey while somebody types. Without this file it shows what was last saved.
"use strict";

const wording = document.getElementById("wording");
const language = document.getElementById("preview-language");
const accent = document.getElementById("accent");
const PAUSE = 400; // milliseconds without a key
let waiting = 0;
let made = 0;

function shownFrame() {
  const device = document.querySelector('[name="device"]:checked').value;
  return document.querySelector(`.device.${device} iframe:not(.coming)`);
}

// What is typed is posted into a new frame, which takes the place of the old one once it is there: no flicker, and no
// step in the history of the page.
function renew() {
  const old = shownFrame();
  for (const unfinished of old.parentElement.querySelectorAll(".coming")) unfinished.remove();
  const fresh = old.cloneNode(false);
  fresh.removeAttribute("src");
  fresh.removeAttribute("loading");
  fresh.className = "coming";
  made += 1;
  fresh.name = `preview-${made}`;
  old.after(fresh);
  const form = document.createElement("form");
  form.method = "post";
  form.action = `${wording.dataset.preview}?${new URLSearchParams({ view: old.dataset.view, language: language.value })}`;
  form.target = fresh.name;
  form.hidden = true;
  const values = new FormData(wording);
  values.set("accent", accent.value);
  for (const [name, value] of values) {
    const input = document.createElement("textarea");
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  fresh.addEventListener("load", () => {
    if (!fresh.isConnected) return;
    fresh.className = "";
    old.remove();
  });
  form.submit();
  form.remove();
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(renew, PAUSE);
}

document.getElementById("preview-in").hidden = false;
const hint = document.querySelector("[data-live]");
hint.textContent = hint.dataset.live;
wording.addEventListener("input", soon);
accent.addEventListener("input", soon);
language.addEventListener("change", renew);
for (const device of document.querySelectorAll('[name="device"]')) device.addEventListener("change", renew);

// Whoever writes in a language wants to see it.
wording.addEventListener("focusin", (event) => {
  const wanted = event.target.dataset.language || (event.target.matches("textarea") ? wording.elements.language.value : "");
  if (wanted && language.value !== wanted) {
    language.value = wanted;
    renew();
  }
});

// Nothing typed is lost by a wrong step.
let typed = false;
wording.addEventListener("input", () => { typed = true; });
wording.addEventListener("submit", () => { typed = false; });
addEventListener("beforeunload", (event) => { if (typed) event.preventDefault(); });
