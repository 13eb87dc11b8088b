// <button data-copies="text"> puts its text on the clipboard and says so for two seconds.

const SAID_FOR = 2000;

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copies);
  const label = button.getAttribute("aria-label");
  button.setAttribute("aria-label", "Copied");
  button.dataset.copied = "";
  setTimeout(() => {
    button.setAttribute("aria-label", label);
    delete button.dataset.copied;
  }, SAID_FOR);
}

export function startCopying() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (button) copy(button);
  });
}
