// <div data-refresh="url" data-every="seconds"> keeps itself fresh: its fragment is fetched again and morphed in place, so focus,
// selection and scroll stay. Rows that are new wait behind a button and never push what one reads. A hidden page asks nothing.

import { showLive } from "./live.js";
import { age } from "./times.js";

const SLOWEST = 60000;

class Refreshed {
  constructor(element) {
    this.element = element;
    this.failures = 0;
    this.freshAt = new Date();
    this.plan();
    document.addEventListener("visibilitychange", () => document.hidden || this.run());
  }

  get every() {
    return Number(this.element.dataset.every) * 1000;
  }

  plan() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), Math.min(this.every * 2 ** this.failures, SLOWEST));
  }

  async run() {
    if (!document.hidden) await this.fetch();
    this.plan();
  }

  async fetch() {
    try {
      const answer = await fetch(this.element.dataset.refresh, { headers: { "HX-Request": "true" }, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      this.morph(await answer.text());
      this.failures = 0;
      this.freshAt = new Date();
      showLive("live");
    } catch {
      this.failures += 1;
      showLive(this.failures > 2 ? "stale" : "reconnecting", this.freshAt);
    }
  }

  morph(html) {
    let waiting = 0;
    const calm = (node) => {
      if (!node.matches?.("tr[data-row]")) return true;
      waiting += 1;
      return false;
    };
    Idiomorph.morph(this.element, html, { morphStyle: "innerHTML", ignoreActiveValue: true, callbacks: { beforeNodeAdded: calm, beforeNodeMorphed: keep } });
    this.offer(waiting);
  }

  offer(waiting) {
    const news = document.getElementById(this.element.dataset.news);
    if (!news) return;
    news.hidden = waiting === 0;
    news.textContent = `${waiting} new`;
  }
}

// What the reader's own clock and hand have made of the page stays: grown ages, opened folds.
function keep(old, fresh) {
  if (fresh.matches?.("time[data-age]")) fresh.textContent = age((Date.now() - Date.parse(fresh.dateTime)) / 1000);
  if (old.matches?.("details")) fresh.open = old.open;
}

export function startRefreshing() {
  for (const element of document.querySelectorAll("[data-refresh]")) new Refreshed(element);
  document.addEventListener("click", (event) => event.target.closest("[data-reload]") && location.reload());
}
