// The live dot of the page head: live, reconnecting, or stale since a time; the worst of what the page lives on (its socket, what
// it fetches). Says out loud only what changed.

const WORDS = { live: "Live", reconnecting: "Reconnecting", ended: "Ended" };
const WORST_LAST = ["live", "reconnecting", "stale", "ended"];

const told = new Map();

export function showLive(source, state, since) {
  told.set(source, { state, since });
  const worst = [...told.values()].reduce((a, b) => (WORST_LAST.indexOf(b.state) > WORST_LAST.indexOf(a.state) ? b : a));
  const dot = document.getElementById("live");
  if (!dot || dot.dataset.state === worst.state) return;
  dot.dataset.state = worst.state;
  dot.textContent = worst.state === "stale" ? `Stale since ${worst.since.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : WORDS[worst.state];
}
