// Keys: "/" goes to the filter, "?" shows all keys, "g" and a letter jump to a room; a page may bind letters of its own. Never
// while one writes.

const JUMP_WITHIN = 1000;

const own = new Map();

// Binds letters of this page: {a: (event) => …}. They act on their own only, never after "g".
export function bindKeys(keys) {
  for (const [key, act] of Object.entries(keys)) own.set(key, act);
}

function writing(target) {
  return target.isContentEditable || (["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) && target.type !== "checkbox");
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
    } else if (own.has(event.key)) {
      event.preventDefault();
      own.get(event.key)(event);
    }
  });
}
