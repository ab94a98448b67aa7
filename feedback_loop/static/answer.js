// The page of a score link: says that it was opened, and that a person moved on it. A program that opens links does
// neither press nor move. Nothing here is needed to answer: Send works without it.
(function () {
  "use strict";
  var form = document.querySelector("form[data-signs]");
  if (!form || !window.fetch || !window.URLSearchParams || !window.FormData) return;
  var status = form.querySelector(".counted");
  var AFTER = 1200; // milliseconds on the visible page; what moves sooner may be the browser itself
  var GESTURES = ["pointerdown", "pointermove", "touchstart", "touchmove", "keydown", "wheel"];
  var visibleSince = 0;
  var done = false;

  function say(sign) {
    var values = new URLSearchParams();
    new FormData(form).forEach(function (value, name) {
      if (typeof value === "string" && !["comment", "email", "tag"].includes(name)) values.append(name, value);
    });
    values.set("sign", sign);
    return fetch(form.dataset.signs, { method: "POST", body: values, credentials: "omit", keepalive: true });
  }

  function moved(event) {
    if (done || !event.isTrusted || document.visibilityState !== "visible") return;
    if (!visibleSince || performance.now() - visibleSince < AFTER) return;
    // Whoever reaches for a score is about to choose: what is chosen then counts by Send.
    var choice = event.target && event.target.closest && event.target.closest(".choice");
    if (choice && event.type !== "pointermove" && event.type !== "touchmove" && event.type !== "wheel") return;
    done = true;
    GESTURES.forEach(function (name) { window.removeEventListener(name, moved, true); });
    say("gesture").then(function (answer) { return answer.ok && answer.status === 200 ? answer.json() : {}; })
      .then(function (found) { if (found.counts && status) status.hidden = false; })
      .catch(function () {});
  }

  function shown() {
    if (document.visibilityState !== "visible" || document.prerendering) { visibleSince = 0; return; }
    if (visibleSince) return;
    visibleSince = performance.now();
  }

  GESTURES.forEach(function (name) { window.addEventListener(name, moved, { capture: true, passive: true }); });
  document.addEventListener("visibilitychange", shown);
  document.addEventListener("prerenderingchange", shown);
  form.addEventListener("submit", function () { done = true; });
  form.addEventListener("change", function (event) {
    if (event.target.name !== "score") return;
    done = true; // another score than that of the link is the reader's own choice, and counts when it is sent
    if (status) status.hidden = true;
  });
  shown();
  say("opened").catch(function () {});
})();
