// A session as it happens. The socket only tells that there is more; the server renders it, as it renders the page after a reload,
// so live and replayed are the same HTML. Every element carries its id, so a fragment that comes twice changes nothing.

import { openSocket } from "./news.js";

const AT_THE_END = 160;
const AGAIN_AFTER = 2000;

class Transcript {
  constructor(element) {
    this.element = element;
    this.pulling = false;
    this.behind = element.dataset.more === "yes";
    openSocket(() => element.dataset.socket.replace("AFTER", this.seq), {
      onFrame: () => this.pull(),
      onOpen: () => this.pull(),
    });
    document.getElementById("to-end").addEventListener("click", () => this.toEnd());
    document.addEventListener("scrollend", () => this.atEnd() && this.hideWay());
    document.addEventListener("click", (event) => this.pressed(event));
    this.wanted = new URLSearchParams(location.search).get("event");
    this.show();
  }

  // The event that the address names may be in a part that has not come yet: it is shown as soon as it has.
  show() {
    const event = this.wanted && document.getElementById(`e-${this.wanted}`);
    if (!event) return;
    this.wanted = null;
    this.choose(event);
    event.scrollIntoView({ block: "center" });
  }

  choose(event) {
    for (const old of this.element.querySelectorAll(".chosen")) old.classList.remove("chosen");
    event?.classList.add("chosen");
  }

  // A number marks its event; a tick of the minimap and a call in the inspector lead to theirs. What is shown inside another
  // event (a result inside its call) opens in the inspector alone.
  pressed(event) {
    const number = event.target.closest(".event .seq");
    if (number) this.choose(number.closest(".event"));
    const pointer = event.target.closest("[data-goto], rect[data-seq]");
    if (!pointer) return;
    event.preventDefault();
    const seq = pointer.dataset.goto ?? pointer.dataset.seq;
    const there = document.getElementById(`e-${seq}`);
    if (there) {
      there.scrollIntoView({ block: "center" });
      there.querySelector(".seq").click();
    } else htmx.ajax("GET", this.element.dataset.event.replace("/0", `/${seq}`), { target: "#inspector", swap: "innerHTML" });
  }

  get seq() {
    return Number(this.element.dataset.seq);
  }

  address() {
    const url = new URL(this.element.dataset.url, location.href);
    url.searchParams.set("after_seq", this.seq);
    return url;
  }

  // Frames that arrive while one fetch is under way are answered together by the next.
  async pull() {
    this.behind = true;
    if (this.pulling) return;
    this.pulling = true;
    try {
      while (this.behind) {
        this.behind = false;
        await this.fetch();
      }
    } catch {
      this.behind = true;
      setTimeout(() => this.pull(), AGAIN_AFTER);
    } finally {
      this.pulling = false;
    }
  }

  async fetch() {
    const answer = await fetch(this.address(), { headers: { "HX-Request": "true" }, redirect: "error" });
    if (answer.status >= 500) throw new Error(String(answer.status));
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const reading = this.atEnd();
    const came = Boolean(page.querySelector("[data-transcript] > *"));
    const news = page.querySelector("[data-transcript]");
    for (const part of page.querySelectorAll("[data-part]")) this.morph(part);
    for (const turn of [...news.children]) this.merge(turn);
    this.element.dataset.seq = news.dataset.seq;
    this.behind ||= news.dataset.more === "yes";
    this.show();
    if (reading) this.toEnd();
    else if (came) document.getElementById("to-end").hidden = false;
  }

  morph(part) {
    const old = document.getElementById(part.id);
    if (!old || old.contains(document.activeElement)) return;
    Idiomorph.morph(old, part, { morphStyle: "outerHTML" });
    htmx.process(document.getElementById(part.id));
  }

  merge(turn) {
    const old = document.getElementById(turn.id);
    if (old) for (const event of [...turn.querySelectorAll(":scope > .event")]) this.place(event, old);
    else this.add(turn, this.element);
  }

  place(event, turn) {
    const old = document.getElementById(event.id);
    if (!old) {
      this.add(event, turn);
      return;
    }
    for (const details of event.querySelectorAll("details")) details.open ||= old.querySelector("details")?.open;
    old.replaceWith(document.adoptNode(event));
    htmx.process(event);
  }

  add(node, parent) {
    parent.append(document.adoptNode(node));
    htmx.process(node);
  }

  atEnd() {
    return document.documentElement.scrollHeight - window.innerHeight - window.scrollY < AT_THE_END;
  }

  toEnd() {
    window.scrollTo({ top: document.documentElement.scrollHeight });
    this.hideWay();
  }

  hideWay() {
    document.getElementById("to-end").hidden = true;
  }
}

export function startTranscript() {
  const element = document.querySelector("[data-transcript]");
  if (element) new Transcript(element);
}
