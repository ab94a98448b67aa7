// Keys, for those who want them. Everything on the pages works without this file.
"use strict";

const STORE = "single-keys";
const WAIT = 1000; // milliseconds between `g` and the letter after it

const dialog = document.getElementById("keys");
const allowed = () => localStorage.getItem(STORE) !== "off";
let went = 0;

function isTyping(target) {
  if (["checkbox", "radio"].includes(target.type)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

// A page says with `data-press` which key stands for what: a link or button is pressed, a field gets the focus, and so
// does a button whose effect one should read first (`data-press-focuses`).
function pressOne(key) {
  const found = [...document.querySelectorAll(`[data-press~="${CSS.escape(key)}"]`)];
  const target = found.find((each) => each.getClientRects().length);
  if (!target) return false;
  const isField = target.matches("select, textarea, input:not([type=checkbox], [type=radio])");
  const focuses = isField || "pressFocuses" in target.dataset;
  if (focuses || target.tagName === "SUMMARY") target.focus(); // from what opens one goes on by Tab
  if (!focuses) target.click();
  return true;
}

function step(by) {
  const rows = [...document.querySelectorAll("a.row")];
  if (!rows.length) return;
  const place = rows.indexOf(document.activeElement);
  const next = place < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(place + by, 0), rows.length - 1);
  rows[next].focus();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !allowed()) return;
  if (dialog.open) return;
  const key = event.key;
  if (Date.now() - went < WAIT) {
    went = 0;
    const place = document.querySelector(`nav a[data-key="${CSS.escape(key)}"]`);
    if (place) place.click();
    return;
  }
  if (pressOne(key)) event.preventDefault(); // the key must not be typed into the field that now has the focus
  else if (key === "g") went = Date.now();
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "?") dialog.showModal();
  else if (key === "/") {
    const search = document.querySelector("input[type=search]");
    if (!search) return;
    search.focus();
    event.preventDefault();
  }
}

if (dialog) {
  const box = document.getElementById("keys-on");
  const hint = document.querySelector(".keys-hint");
  box.checked = allowed();
  const showKeys = () => document.documentElement.classList.toggle("with-keys", allowed());
  box.addEventListener("change", () => {
    localStorage.setItem(STORE, box.checked ? "on" : "off");
    showKeys();
  });
  showKeys();
  hint.hidden = false;
  const button = document.createElement("button");
  button.className = "quiet";
  button.textContent = "Keys";
  button.addEventListener("click", () => dialog.showModal());
  hint.replaceChildren(button);
  document.addEventListener("keydown", pressed);
}

// Ticking: how many are ticked, and all that are in sight at once. A search result may bring its boxes later.
const boxes = () => [...document.querySelectorAll('input[form="pick"][name="ids"]')];
const inSight = () => boxes().filter((box) => box.getClientRects().length);

function ticking() {
  const all = document.getElementById("tick-all");
  if (!all) return;
  const ticked = boxes().filter((box) => box.checked).length;
  const words = document.getElementById("ticked");
  words.dataset.hint ??= words.textContent;
  words.textContent = ticked ? `${ticked} ticked.` : words.dataset.hint;
  const every = inSight();
  all.hidden = every.length < 2;
  all.textContent = every.every((box) => box.checked) ? "Untick all" : "Tick all";
}

// Where one decides entry by entry, what is ticked outlives the way to the next page, until it is sent.
const keeps = document.querySelector("form[data-keeps-ticks]");
const TICKS = `ticks:${location.pathname}`;
if (keeps) {
  const kept = new Set(JSON.parse(sessionStorage.getItem(TICKS) || "[]"));
  for (const box of boxes()) box.checked = kept.has(box.value);
  document.addEventListener("change", () => {
    const gone = new Set(boxes().map((box) => box.value));
    const elsewhere = [...kept].filter((value) => !gone.has(value));
    const here = boxes().filter((box) => box.checked).map((box) => box.value);
    sessionStorage.setItem(TICKS, JSON.stringify([...elsewhere, ...here]));
  });
  keeps.addEventListener("submit", () => sessionStorage.removeItem(TICKS));
}

// A choice is confirmed by Enter, which browsers leave to fields that one types into.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.tagName !== "SELECT") return;
  const form = event.target.closest("form[data-enter]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
});

document.addEventListener("change", ticking);
document.addEventListener("toggle", ticking, true);
document.addEventListener("click", (event) => {
  if (event.target.id !== "tick-all") return;
  const every = inSight();
  const tick = every.some((box) => !box.checked);
  for (const box of every) box.checked = tick;
  ticking();
});
document.addEventListener("htmx:afterSettle", ticking);
window.addEventListener("pageshow", ticking);
ticking();

const errors = document.getElementById("errors");
if (errors) errors.focus();

for (const field of document.querySelectorAll("input.copy")) field.addEventListener("focus", () => field.select());
