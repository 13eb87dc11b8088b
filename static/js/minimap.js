// The minimap of a session can be looked at closely: + and - (or Ctrl and the wheel) zoom, [ and ] (or the wheel sideways) move, 0 shows
// the whole again. The server draws the lanes and draws them again as events come; the part that is looked at stays.

import { bindKeys } from "./keys.js";

const WHOLE = { from: -2, width: 1004 }; // see parts/lane.html
const CLOSEST = 64;
const STEP = 2;
const TICK = 3;

class Minimap {
  constructor(element) {
    this.element = element;
    this.from = WHOLE.from;
    this.width = WHOLE.width;
    element.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    element.addEventListener("click", (event) => this.pressed(event.target.closest("[data-zoom]")));
    new MutationObserver(() => this.draw()).observe(element, { subtree: true, childList: true, attributeFilter: ["viewBox"] });
    bindKeys({
      "+": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.zoom(0),
      "[": () => this.move(-0.25),
      "]": () => this.move(0.25),
    });
    this.draw();
  }

  pressed(button) {
    if (button) this.zoom(Number(button.dataset.zoom));
  }

  wheeled(event) {
    const lane = event.target.closest("svg.lane");
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (!lane || !(event.ctrlKey || event.metaKey || sideways)) return;
    event.preventDefault();
    const box = lane.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, (event.clientX - box.left) / box.width);
    else this.move(sideways / box.width);
  }

  // The place under `at` (a share of what is shown) stays where it is; by 0 the whole is shown.
  zoom(by, at = 0.5) {
    const width = by ? Math.min(Math.max(this.width / by, WHOLE.width / CLOSEST), WHOLE.width) : WHOLE.width;
    this.from += (this.width - width) * at;
    this.width = width;
    this.draw();
  }

  move(share) {
    this.from += this.width * share;
    this.draw();
  }

  draw() {
    this.from = Math.min(Math.max(this.from, WHOLE.from), WHOLE.from + WHOLE.width - this.width);
    const box = `${this.from} 0 ${this.width} 20`;
    const tick = (TICK * this.width) / WHOLE.width;
    for (const lane of this.element.querySelectorAll("svg.lane")) {
      if (lane.getAttribute("viewBox") !== box) lane.setAttribute("viewBox", box);
      for (const rect of lane.querySelectorAll("rect")) rect.setAttribute("width", tick);
    }
    for (const button of this.element.querySelectorAll("[data-zoom]")) button.disabled = Number(button.dataset.zoom) !== STEP && this.width === WHOLE.width;
  }
}

export function startMinimap() {
  const element = document.querySelector("[data-minimap]");
  if (element) new Minimap(element);
}
