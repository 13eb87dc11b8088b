// The live dot of the page head: live, reconnecting, or stale since a time. Says out loud only what changed.

const WORDS = { live: "Live", reconnecting: "Reconnecting", ended: "Ended" };

export function showLive(state, since) {
  const dot = document.getElementById("live");
  if (!dot || dot.dataset.state === state) return;
  dot.hidden = false;
  dot.dataset.state = state;
  dot.textContent = state === "stale" ? `Stale since ${since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : WORDS[state];
}
