// Ctrl-K (⌘K) opens the palette anywhere, also while one writes; arrows walk through what was found, Enter opens it. What is found
// is rendered by the server, in the order in which it is offered.

function links(palette) {
  return [...palette.querySelectorAll("#found a")];
}

function step(palette, by) {
  const all = links(palette);
  const now = all.indexOf(document.activeElement);
  const next = now + by;
  if (next < 0) palette.querySelector("input").focus();
  else all[Math.min(next, all.length - 1)]?.focus();
}

function pressed(event, palette) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    step(palette, event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target.matches("input")) {
    event.preventDefault();
    links(palette)[0]?.click();
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && event.target.matches("a")) {
    palette.querySelector("input").focus();
  }
}

function open(palette) {
  if (palette.open) {
    palette.close();
    return;
  }
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  palette.showModal();
  const input = palette.querySelector("input");
  input.select();
  input.dispatchEvent(new CustomEvent("palette:open"));
}

export function startPalette() {
  const palette = document.getElementById("palette");
  if (!palette) return;
  palette.addEventListener("keydown", (event) => pressed(event, palette));
  document.addEventListener("click", (event) => event.target.closest("[data-palette]") && open(palette));
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open(palette);
    }
  });
}
