// The inbox by keyboard and by hand: j and k walk the cards, x chooses, a approves, r or d rejects, o opens. Deciding always passes
// the dialog that names what is decided and takes a reason; the server answers with what became of each, in its place.

import { bindKeys } from "./keys.js";

class Inbox {
  constructor() {
    this.bar = document.querySelector("[data-chosen-bar]");
    this.acted = null;
    document.addEventListener("change", (event) => event.target.closest("[data-card]") && this.count());
    document.addEventListener("click", (event) => this.pressed(event));
    document.addEventListener("htmx:afterRequest", (event) => event.target.matches?.("[data-deciding]") && this.decided(event));
    const decide = (verdict) => () => this.decide(verdict, this.chosen.length ? this.chosen : [this.current]);
    bindKeys({
      j: () => this.walk(1),
      k: () => this.walk(-1),
      x: () => this.choose(),
      o: () => this.current?.querySelector("h2 a")?.click(),
      a: decide("approve"),
      r: decide("reject"),
      d: decide("reject"),
    });
  }

  get cards() {
    return [...document.querySelectorAll("[data-card]")];
  }

  get current() {
    return document.activeElement.closest("[data-card]") ?? this.cards[0];
  }

  get chosen() {
    return this.cards.filter((card) => card.querySelector("[name=ids]")?.checked);
  }

  walk(step) {
    const { cards } = this;
    const at = cards.indexOf(document.activeElement.closest("[data-card]"));
    this.goTo(cards[at < 0 ? 0 : Math.min(Math.max(at + step, 0), cards.length - 1)]);
  }

  goTo(card) {
    card?.focus({ preventScroll: true });
    card?.scrollIntoView({ block: "nearest" });
  }

  choose() {
    const box = this.current?.querySelector("[name=ids]");
    if (!box) return;
    box.checked = !box.checked;
    this.goTo(this.current);
    this.count();
  }

  count() {
    const { length } = this.chosen;
    this.bar.hidden = length === 0;
    this.bar.querySelector("[data-chosen-count]").textContent = `${length} chosen`;
  }

  pressed(event) {
    const button = event.target.closest("[data-decides]");
    if (button) this.decide(button.dataset.decides, "all" in button.dataset ? this.chosen : [button.closest("[data-card]")]);
    else if (event.target.closest("[data-unchoose]")) this.unchoose();
  }

  unchoose() {
    for (const card of this.chosen) card.querySelector("[name=ids]").checked = false;
    this.count();
  }

  // A card that its reader may not decide has no box, and is left out.
  decide(verdict, cards) {
    const open = cards.filter((card) => card?.querySelector("[name=ids]"));
    if (open.length === 0) return;
    const dialog = document.getElementById(verdict);
    dialog.querySelector("[data-ids]").replaceChildren(...open.map(hidden));
    dialog.querySelector("[data-names]").replaceChildren(...open.map(named));
    this.acted = open[0];
    dialog.showModal();
  }

  decided(event) {
    if (!event.detail.successful) return;
    event.target.reset();
    const after = this.acted && this.cards.find((card) => this.acted.compareDocumentPosition(card) & Node.DOCUMENT_POSITION_FOLLOWING);
    this.goTo(after ?? this.cards.at(-1));
    this.count();
  }
}

function hidden(card) {
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = "ids";
  field.value = card.querySelector("[name=ids]").value;
  return field;
}

function named(card) {
  const item = document.createElement("li");
  item.textContent = card.querySelector("h2").textContent;
  return item;
}

// The page of one request: a and r go to the reason, and the button of that letter is the one that Enter presses next.
function startRequest(form) {
  const go = (verdict) => () => {
    form.querySelector(`[value=${verdict}]`).focus();
  };
  bindKeys({ a: go("approve"), r: go("reject"), d: go("reject") });
}

export function startInbox() {
  const one = document.querySelector("[data-decide-here]");
  if (one) startRequest(one);
  else if (document.querySelector("[data-chosen-bar]")) new Inbox();
}
