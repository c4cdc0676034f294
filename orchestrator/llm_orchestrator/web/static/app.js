// What links and forms alone can't do: open forms in a dialog, fetched by htmx. Without this file
// every link leads to a page of its own that does the same.
(() => {
  "use strict";
  const dialog = document.getElementById("dialog");

  const opens = () => dialog && dialog.querySelector(".panel");

  document.addEventListener("htmx:after:swap", () => {
    if (!opens()) return;
    if (!dialog.open) dialog.showModal();
    const first =
      dialog.querySelector("[aria-invalid=true]") ||
      dialog.querySelector("[autofocus]") ||
      dialog.querySelector("input:not([type=hidden]), select, button");
    if (first) first.focus();
  });

  if (dialog) {
    // Emptied, so that what was typed (a provider's key) does not stay in the page.
    dialog.addEventListener("close", () => dialog.replaceChildren());
    dialog.addEventListener("click", (event) => {
      if (event.target.closest("[data-close]")) {
        event.preventDefault();
        dialog.close();
      }
    });
  }

  // Filters answer at once; the button is for those without scripts.
  for (const form of document.querySelectorAll("form[data-instant]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }

  const current = document.querySelector(".tabs a[aria-current]");
  if (current) current.scrollIntoView({ block: "nearest", inline: "center" });
})();
