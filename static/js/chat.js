// Writing to an agent: an example fills the field and can still be changed; Enter sends, Shift and Enter begin a new line.

function fill(button) {
  const field = document.getElementById(button.dataset.fills);
  field.value = button.textContent;
  field.focus();
}

function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches("[data-sends] textarea");
}

export function startChat() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fills]");
    if (button) fill(button);
  });
  document.addEventListener("keydown", (event) => {
    if (!sends(event)) return;
    event.preventDefault();
    if (event.target.value.trim()) event.target.form.requestSubmit();
  });
}
