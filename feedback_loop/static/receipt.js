// A button that copies the receipt. Without this file the link can be marked, copied and opened as any other.
"use strict";

{
  const field = document.getElementById("receipt");
  const button = document.querySelector(".copies");
  const said = document.querySelector(".receipt [role=status]");
  const copy = async () => {
    field.focus();
    field.select();
    // The clipboard is closed to pages without https; then the old way, which browsers still know.
    if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
    else if (!document.execCommand("copy")) throw new Error("refused");
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    copy().then(
      () => { said.textContent = button.dataset.done; },
      () => { said.textContent = button.dataset.else; },
    );
  });
}
