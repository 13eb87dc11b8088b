// <div data-refresh="url" data-every="seconds" data-hears="kinds"> keeps itself fresh: its fragment is fetched again when the page
// hears that something of these kinds changed ("*" is any), no more often than every so many seconds, and morphed in place, so focus,
// selection and scroll stay. While the socket is open it asks but rarely besides; without it, at that pace. Rows that are new wait
// behind a button and never push what one reads; nor does a card that went away elsewhere: it stays and says so. A hidden page asks
// nothing.

import { showLive } from "./live.js";
import { isOpen, onChange } from "./news.js";
import { told } from "./times.js";

const SLOWEST = 60000;
const CALM = 30000;

class Refreshed {
  constructor(element) {
    this.element = element;
    this.failures = 0;
    this.freshAt = new Date();
    this.askedAt = -Infinity;
    this.plan();
    onChange((kinds) => this.hears(kinds) && this.runSoon());
    document.addEventListener("visibilitychange", () => document.hidden || this.run());
  }

  get every() {
    return Number(this.element.dataset.every) * 1000;
  }

  hears(kinds) {
    const wanted = this.element.dataset.hears.split(" ");
    return kinds[0] === "*" || wanted.includes("*") || wanted.some((kind) => kinds.includes(kind));
  }

  // What changed between the page and its socket is seen by the first look, which is not put off.
  plan() {
    const trusts = isOpen() && this.failures === 0 && this.askedAt > 0;
    this.runIn(trusts ? CALM : Math.min(this.every * 2 ** this.failures, SLOWEST));
  }

  runIn(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), wait);
  }

  runSoon() {
    this.runIn(Math.max(0, this.askedAt + this.every - performance.now()));
  }

  async run() {
    if (!document.hidden) this.askedAt = performance.now();
    this.plan(); // before it asks: what is heard meanwhile is asked for after that
    if (!document.hidden) await this.fetch();
  }

  async fetch() {
    try {
      const answer = await fetch(this.element.dataset.refresh, { headers: { "HX-Request": "true" }, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      this.morph(await answer.text());
      this.failures = 0;
      this.freshAt = new Date();
      showLive(this, "live");
    } catch {
      this.failures += 1;
      showLive(this, this.failures > 2 ? "stale" : "reconnecting", this.freshAt);
      this.plan();
    }
  }

  morph(html) {
    let waiting = 0;
    const isWhole = !html.includes('rel="next"');
    const isRead = Boolean(this.element.querySelector("[data-row]")); // an empty list has nothing that could be pushed
    const calm = (node) => {
      if (!isRead || !node.matches?.("[data-row], [data-head]")) return true;
      waiting += node.matches("[data-row]") ? 1 : 0;
      return false;
    };
    const stay = (node) => {
      if (!node.matches?.("[data-card]")) return !node.matches?.("[data-gone]");
      if (isWhole) leave(node);
      return false;
    };
    const callbacks = { beforeNodeAdded: calm, beforeNodeMorphed: keep, beforeNodeRemoved: stay };
    Idiomorph.morph(this.element, html, { morphStyle: "innerHTML", ignoreActiveValue: true, callbacks });
    this.offer(waiting);
  }

  offer(waiting) {
    const news = document.getElementById(this.element.dataset.news);
    if (!news) return;
    news.hidden = waiting === 0;
    news.textContent = `${waiting} new`;
  }
}

// What the reader's own clock and hand have made of the page stays: grown ages, opened folds, what was decided.
function keep(old, fresh) {
  if (fresh.matches?.("time:is([data-age], [data-ahead])")) fresh.textContent = told(fresh);
  if (old.matches?.("details")) fresh.open = old.open;
  if (old.matches?.("[type=checkbox]")) fresh.checked = old.checked;
  return !old.matches?.("[data-gone]");
}

// A card that is not in the list any more was decided by somebody else, cancelled, or is over.
function leave(card) {
  card.removeAttribute("data-card");
  card.dataset.gone = "";
  card.classList.add("gone");
  const word = document.createElement("p");
  word.className = "badge";
  word.dataset.tone = "off";
  word.textContent = "Decided or withdrawn meanwhile";
  card.querySelector("header")?.append(word);
}

export function startRefreshing() {
  for (const element of document.querySelectorAll("[data-refresh]")) new Refreshed(element);
  document.addEventListener("click", (event) => event.target.closest("[data-reload]") && location.reload());
}
