// Puts a question of ours on a page of yours:
//
//   <script src="https://feedback.example.com/static/widget.js" data-survey="order-delivered"
//     data-mode="inline" data-context-page="/help" defer></script>
//
// data-survey       the survey; without it the script only offers the functions below
// data-mode         inline (where the script stands, or in data-target), popover (opens by itself), tab (opens when pressed)
// data-target       a CSS selector of the element that takes the inline question
// data-context-*    where the answer comes from: data-context-page="/help" becomes page: /help
// data-score, data-language   the score chosen at first; the language of the question
// data-label        what the tab says and the popover is called
// data-delay        seconds until the popover opens by itself
//
//   FeedbackLoop.open("order-delivered", { context: { order: "7" }, score: "4", language: "de", label: "Your order" })
//   FeedbackLoop.close()
//   FeedbackLoop.on("answered", (event) => …)   event.survey; also "opened" and "closed". Returns a function that ends it.
//
// The question is a page of ours in a frame: it sets no cookie, stores nothing, and sees nothing of your page. Your content
// security policy has to name our address in script-src and frame-src (or default-src), nothing else.
(function () {
  "use strict";

  const script = document.currentScript;
  if (!script) return;
  if (window.FeedbackLoop) {
    // The script stands on the page more than once: the first one does the work for all.
    if (window.FeedbackLoop.place) window.FeedbackLoop.place(script);
    return;
  }

  const PATIENCE = 5000; // milliseconds a frame that has loaded may keep silent before a link takes its place
  const WORDS = {
    en: ["Feedback", "Close"],
    de: ["Feedback", "Schließen"],
    fr: ["Votre avis", "Fermer"],
    es: ["Tu opinión", "Cerrar"],
    pt: ["Sua opinião", "Fechar"],
    it: ["Il tuo parere", "Chiudi"],
    nl: ["Feedback", "Sluiten"],
    pl: ["Twoja opinia", "Zamknij"],
    ar: ["رأيك", "إغلاق"],
    ja: ["ご意見", "閉じる"],
  };
  const STYLE = `
    :host { all: initial; display: block; }
    :host([hidden]), [hidden] { display: none !important; }
    * { box-sizing: border-box; }
    button, a { font: 600 16px/1.25 system-ui, sans-serif; color: #0b5e51; }
    :focus-visible { outline: 3px solid #0b5e51; outline-offset: 2px; }
    iframe { display: block; width: 100%; height: 0; border: 0; }
    .link { display: inline-block; padding: 16px; }
    .tab, .popover { position: fixed; z-index: 2147483000; }
    .tab { inset-inline-end: 0; top: 50%; padding: 14px 10px; border: 2px solid #fff; border-inline-end: 0;
      border-start-start-radius: 10px; border-end-start-radius: 10px; background: #0b5e51; color: #fff;
      transform: translateY(-50%); cursor: pointer; }
    .tab span { writing-mode: vertical-rl; }
    .tab:hover { background: #08463c; }
    .popover { inset-inline-end: 16px; bottom: 16px; width: min(400px, calc(100vw - 32px)); overflow: hidden;
      display: flex; flex-direction: column; max-height: calc(100vh - 32px); max-height: calc(100dvh - 32px); border: 1px solid #77827c;
      border-radius: 12px; background: #fff; box-shadow: 0 8px 32px rgb(0 0 0 / 25%); }
    .top { display: flex; align-items: center; flex: none; padding-inline-start: 16px; color: #56605b;
      font: 14px/1.25 system-ui, sans-serif; }
    .top span { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .inside { overflow: auto; }
    .close { width: 44px; height: 44px; padding: 0; border: 0; border-radius: 12px; background: none; color: inherit;
      font-size: 24px; cursor: pointer; }
    @media (max-width: 480px) {
      .popover { inset-inline: 8px; bottom: 8px; width: auto; max-height: calc(100vh - 16px);
        max-height: calc(100dvh - 16px); }
    }
    .dark { border-color: #7d8983; background: #1b201e; }
    .dark .top { color: #a5b0aa; }
    .dark :focus-visible { outline-color: #74d0bb; }
    @media (prefers-reduced-motion: no-preference) {
      .popover { animation: rise 150ms ease-out; }
      @keyframes rise { from { opacity: 0; transform: translateY(8px); } }
    }`;

  const listeners = { answered: [], opened: [], closed: [] };
  const placed = new Set(); // scripts, targets and popovers that stand already
  const frames = []; // every question on the page
  const popovers = new Map();

  function guarded(work) {
    return function () {
      try {
        return work.apply(this, arguments);
      } catch (error) {
        console.error("FeedbackLoop:", error);
      }
    };
  }

  function say(what, survey) {
    for (const listener of [...listeners[what]]) guarded(listener)({ survey });
  }

  function words(options) {
    const language = options.language || document.documentElement.lang || "en";
    return WORDS[language.slice(0, 2).toLowerCase()] || WORDS.en;
  }

  function make(tag, attributes, parent) {
    const element = document.createElement(tag);
    for (const name in attributes) element.setAttribute(name, attributes[name]);
    if (parent) parent.append(element);
    return element;
  }

  // Styles go into a shadow root by the object model: the policy of the page need not allow any style of ours.
  function root(host) {
    const shadow = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
    return shadow;
  }

  function address(base, survey, page, options) {
    const query = new URLSearchParams();
    for (const name in options.context || {}) query.set("c_" + name, options.context[name]);
    if (options.score != null && options.score !== "") query.set("score", options.score);
    if (options.language) query.set("lang", options.language);
    return `${base}/s/${encodeURIComponent(survey)}${page}${String(query) && "?" + query}`;
  }

  // The question in a frame, as tall as it says itself.
  function frame(parent, base, survey, options, escaped) {
    const origin = new URL(base).origin;
    const element = make("iframe", { title: options.label || words(options)[0] });
    const it = { element, survey, origin, answered: false, escaped, heard: false };
    element.addEventListener("load", guarded(() => {
      element.contentWindow.postMessage({ feedbackLoop: "hello" }, origin);
      setTimeout(guarded(() => {
        if (it.heard || !element.isConnected) return;
        // Nobody answers: the survey may not be shown on this page. It still can be answered by its link.
        const href = address(base, survey, "", options);
        const link = make("a", { class: "link", href, target: "_blank", rel: "noopener" });
        link.textContent = element.title;
        element.replaceWith(link);
      }), PATIENCE);
    }));
    element.src = it.address = address(base, survey, "/embed", options);
    parent.append(element);
    frames.push(it);
    return it;
  }

  function show(it, told) {
    it.element.style.height = `${Math.ceil(told.height)}px`;
    const box = it.element.closest(".popover");
    if (box) box.classList.toggle("dark", Boolean(told.dark));
  }

  window.addEventListener("message", guarded((event) => {
    const told = event.data;
    if (!told || typeof told.feedbackLoop !== "string") return;
    const it = frames.find((each) => each.element.contentWindow === event.source && each.origin === event.origin);
    if (!it) return;
    it.heard = true;
    if (told.feedbackLoop === "height" && told.height > 0) show(it, told);
    if (told.feedbackLoop === "escape" && it.escaped) it.escaped();
    if (told.feedbackLoop === "answered" && !it.answered) {
      it.answered = true;
      say("answered", it.survey);
    }
  }));

  function inline(base, survey, options, place) {
    const host = make("feedback-loop"); // a name that no style of the page is about
    if (place.localName === "script") place.after(host);
    else place.append(host);
    frame(root(host), base, survey, options);
  }

  // One popover of one survey; it keeps what was typed while it is closed.
  function popover(base, survey, options) {
    const key = `${base} ${survey}`;
    if (popovers.has(key)) return popovers.get(key);
    const host = make("feedback-loop", {}, document.body);
    const shadow = root(host);
    let box = null;
    let question = null;
    let before = null; // what had the focus
    let opener = null;

    const it = { isOpen: false };

    const forget = () => {
      box.remove();
      frames.splice(frames.indexOf(question), 1);
      box = null;
    };

    it.close = () => {
      if (!it.isOpen) return;
      const had = document.activeElement === host;
      it.isOpen = false;
      box.hidden = true;
      if (opener) opener.hidden = false;
      if (question.answered) forget();
      if (had && before && before.isConnected) before.focus({ preventScroll: true });
      say("closed", survey);
    };

    it.open = (asked, takesFocus) => {
      const same = box && question.address === address(base, survey, "/embed", asked);
      if (it.isOpen && same) return;
      for (const other of popovers.values()) other.close();
      before = opener || document.activeElement;
      if (box && !same) forget(); // it asks about another order, say
      if (!box) {
        const label = asked.label || words(asked)[0];
        box = make("div", { class: "popover", role: "dialog", "aria-label": label, tabindex: "-1" }, shadow);
        const top = make("div", { class: "top" }, box);
        make("span", { "aria-hidden": "true" }, top).textContent = label; // the dialog is called so already
        const button = make("button", { class: "close", type: "button", "aria-label": words(asked)[1] }, top);
        button.textContent = "×";
        button.addEventListener("click", guarded(it.close));
        question = frame(make("div", { class: "inside" }, box), base, survey, asked, it.close);
      }
      box.hidden = false;
      it.isOpen = true;
      if (opener) opener.hidden = true;
      if (takesFocus) box.focus({ preventScroll: true });
      say("opened", survey);
    };

    it.tab = () => {
      opener = make("button", { class: "tab", type: "button", "aria-haspopup": "dialog" });
      make("span", {}, opener).textContent = options.label || words(options)[0];
      opener.addEventListener("click", guarded(() => it.open(options, true)));
      shadow.prepend(opener);
    };

    document.addEventListener("keydown", guarded((event) => {
      if (event.key === "Escape" && it.isOpen && !event.defaultPrevented && !event.isComposing) it.close();
    }));
    // Opened by itself, it takes no focus; it is given back to where the reader came from.
    document.addEventListener("focusin", guarded((event) => {
      if (it.isOpen && !opener && event.target !== host) before = event.target;
    }));
    popovers.set(key, it);
    return it;
  }

  const baseOf = (element) => element.src.replace(/\/static\/widget\.js.*$/, "");

  function place(element) {
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", guarded(() => place(element)), { once: true });
      return;
    }
    const { survey, mode = "inline", target, score, language, label, delay } = element.dataset;
    if (!survey || placed.has(element)) return;
    placed.add(element);
    const options = { context: {}, score, language, label };
    for (const { name, value } of element.attributes) {
      if (name.startsWith("data-context-")) options.context[name.slice("data-context-".length)] = value;
    }
    const base = baseOf(element);
    if (mode === "inline") {
      const spot = target ? document.querySelector(target) : element;
      if (!spot || !document.body.contains(spot)) throw new Error(`there is no place for ${survey}; name it by data-target`);
      if (target && placed.has(spot)) return;
      placed.add(spot);
      inline(base, survey, options, spot);
      return;
    }
    const key = `${mode} ${base} ${survey}`;
    if (placed.has(key)) return;
    placed.add(key);
    const it = popover(base, survey, options);
    if (mode === "tab") it.tab();
    else setTimeout(guarded(() => it.open(options, false)), Number(delay) * 1000 || 0);
  }

  window.FeedbackLoop = {
    open: guarded((survey, options = {}) => popover(baseOf(script), survey, options).open(options, true)),
    close: guarded(() => popovers.forEach((it) => it.close())),
    on: guarded((what, listener) => {
      if (!listeners[what]) throw new Error(`there is no event ${what}`);
      listeners[what].push(listener);
      return () => listeners[what].splice(listeners[what].indexOf(listener), 1);
    }),
    place: guarded(place),
  };
  window.FeedbackLoop.place(script);
})();
