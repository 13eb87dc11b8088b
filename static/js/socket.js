// One same-origin socket that heals itself. It reports frames and its own state; what a frame means is the listener's business.

import { showLive } from "./live.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10000;
const CLOSED_FOR_GOOD = [1000, 4400, 4401, 4403, 4404]; // see sessions/consumers.py

export class HealingSocket {
  // `address()` is asked at each connect, so that a resumed stream can name the last frame it has.
  constructor(address, { onFrame, onOpen }) {
    this.address = address;
    this.onFrame = onFrame;
    this.onOpen = onOpen;
    this.failures = 0;
    this.connect();
  }

  connect() {
    const url = new URL(this.address(), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.addEventListener("open", () => this.opened());
    this.socket.addEventListener("message", (event) => this.onFrame(JSON.parse(event.data)));
    this.socket.addEventListener("close", (event) => this.closed(event));
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  opened() {
    this.failures = 0;
    this.openAt = new Date();
    showLive("socket", "live");
    this.onOpen();
  }

  closed(event) {
    if (CLOSED_FOR_GOOD.includes(event.code)) {
      showLive("socket", "ended");
      return;
    }
    this.failures += 1;
    showLive("socket", this.failures > 5 ? "stale" : "reconnecting", this.openAt ?? new Date());
    setTimeout(() => this.connect(), this.wait());
  }

  wait() {
    const most = Math.min(FIRST_WAIT * 2 ** (this.failures - 1), LONGEST_WAIT);
    return most * (0.5 + Math.random() / 2);
  }
}
