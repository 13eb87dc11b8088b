// <button data-opens="id"> opens the dialog of that id; <button data-closes> closes the one it stands in; so does a click beside
// it, and so does a form in it once the server has done what it asked. <dialog data-opens-itself> opens when it comes: it shows
// something a single time, so only its own link leaves it. A button that is switched off says why when it is pressed,
// because a finger cannot hover. A dialog that is still on its way when its button is pressed, or when the
// address ends in #id, opens as soon as it has come.

import { toast } from "./toasts.js";

let awaited = "";

function open(id) {
  const dialog = document.getElementById(id);
  awaited = dialog ? "" : id;
  dialog?.showModal?.();
}

export function startDialogs() {
  if (location.hash) open(decodeURIComponent(location.hash.slice(1)));
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    const refused = event.target.closest('[aria-disabled="true"][title]');
    if (refused) toast(refused.title, "warn");
    else if (opener) open(opener.dataset.opens);
    else if (event.target.closest("[data-closes]") || event.target.matches("dialog[open]:not([data-opens-itself])")) event.target.closest("dialog")?.close();
  });
  document.addEventListener("htmx:load", (event) => event.target.matches?.("dialog[data-opens-itself]") && event.target.showModal());
  document.addEventListener("htmx:load", () => awaited && document.getElementById(awaited) && open(awaited));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.detail.requestConfig.verb === "post") event.detail.elt.closest("dialog")?.close();
  });
}
