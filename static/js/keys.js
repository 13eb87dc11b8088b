// Keys: "/" goes to the filter, "?" shows all keys, "g" and a letter jump to a room. Never while one writes.

const JUMP_WITHIN = 1000;

function writing(target) {
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

function jump(letter) {
  document.querySelector(`[data-jump="${CSS.escape(letter)}"]`)?.click();
}

export function startKeys() {
  let jumpingSince = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || document.querySelector("dialog[open]")) return;
    if (event.timeStamp - jumpingSince < JUMP_WITHIN) {
      jumpingSince = -Infinity;
      jump(event.key);
    } else if (event.key === "g") {
      jumpingSince = event.timeStamp;
    } else if (event.key === "/") {
      const filter = document.querySelector("[data-filter]");
      if (filter) {
        event.preventDefault();
        filter.focus();
      }
    } else if (event.key === "?") {
      document.getElementById("keys")?.showModal();
    }
  });
}
