// A button beside each ready text that copies it. Without this file the texts can be marked and copied as any other.
"use strict";

async function copy(field) {
  field.focus();
  field.select();
  // The clipboard is closed to pages without https; then the old way, which browsers still know.
  if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
  else if (!document.execCommand("copy")) throw new Error("refused");
}

for (const field of document.querySelectorAll("textarea.copy")) {
  const label = document.querySelector(`label[for="${field.id}"]`);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${label.textContent}`);
  const said = document.createElement("span");
  said.className = "hint";
  said.setAttribute("role", "status");
  button.addEventListener("click", () => {
    copy(field).then(
      () => { said.textContent = "Copied."; },
      () => { said.textContent = "Marked; press Ctrl+C."; },
    );
  });
  label.after(button, said);
  field.addEventListener("focus", () => field.select());
}

const desk = document.getElementById("desk");
desk.addEventListener("change", () => desk.form.requestSubmit());
