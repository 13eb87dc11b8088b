// Toasts come from the server into #toasts. Good news leaves after six seconds; a refusal stays until it is closed.

const STAYS = 6000;

function leave(toast) {
  if (!toast.matches(":hover, :focus-within")) toast.remove();
  else toast.addEventListener("mouseleave", () => toast.remove(), { once: true });
}

export function toast(text, tone = "bad") {
  const template = document.getElementById("toast-template");
  const copy = template.content.cloneNode(true);
  copy.querySelector("[data-text]").textContent = text;
  copy.firstElementChild.dataset.tone = tone;
  document.getElementById("toasts").append(copy);
}

export function startToasts() {
  const toasts = document.getElementById("toasts");
  if (!toasts) return;
  toasts.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast").remove());
  new MutationObserver((changes) => {
    for (const added of changes.flatMap((change) => [...change.addedNodes])) {
      if (added.dataset?.stays === "no") setTimeout(leave, STAYS, added);
    }
  }).observe(toasts, { childList: true });
  document.addEventListener("htmx:sendError", () => toast("The server does not answer. Nothing was changed; try again in a moment."));
}
