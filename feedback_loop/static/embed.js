// Inside the frame: tells the page around it how tall this page is, that it was answered, and that Escape was pressed.
// Everything can be answered without it. It talks only to pages that the survey allows, and only once they have spoken.
"use strict";

{
  const here = document.currentScript.dataset;
  const origins = here.origins.split(" ");
  const answered = "answered" in here;
  let host = "";

  const tell = (what, more) => {
    if (host) window.parent.postMessage({ feedbackLoop: what, ...more }, host);
  };
  // The page itself, not the window it is seen through: that is as tall as the frame already is.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const tellHeight = () => tell("height", { height: document.body.getBoundingClientRect().height, dark: dark.matches });

  window.addEventListener("message", (event) => {
    if (event.source !== window.parent || window.parent === window) return;
    if (!origins.includes(event.origin) || event.data?.feedbackLoop !== "hello") return;
    host = event.origin;
    tellHeight();
    if (answered) tell("answered");
  });
  new ResizeObserver(tellHeight).observe(document.body);
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) tell("escape");
  });

  // Whoever sent the form was in this frame; what came of it should be read next. Browsers refuse autofocus in frames.
  const news = document.querySelector(".summary") || (answered && document.getElementById("main"));
  if (news) news.focus({ preventScroll: true });
}
