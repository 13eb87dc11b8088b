// The page's one socket. A page that follows a session opens it there; every other page of the console opens it to hear what kinds of
// things changed in the organization. It never tells which: whoever shows such things asks the server again.

import { HealingSocket } from "./socket.js";

const CHANGES = "/ws/console/?changes=yes";
const CHANGED = "powerloom.changed";
const WAITS = ["approval", "access_request", "tool_call"]; // kinds that the number beside the inbox counts

const listeners = new Set();
let socket = null;

// `act(kinds)` is called with what changed; with ["*"] once the socket is back, because nobody knows what was missed.
export function onChange(act) {
  listeners.add(act);
}

export function isOpen() {
  return Boolean(socket?.isOpen);
}

function tell(kinds) {
  for (const act of listeners) act(kinds);
  if (kinds[0] === "*" || WAITS.some((kind) => kinds.includes(kind))) document.body.dispatchEvent(new CustomEvent("inbox"));
}

export function openSocket(address, { onFrame, onOpen }) {
  let wasOpen = false;
  socket = new HealingSocket(address, {
    onFrame: (frame) => (frame.type === CHANGED ? tell(frame.payload.kinds) : onFrame(frame)),
    onOpen: () => {
      if (wasOpen) tell(["*"]);
      wasOpen = true;
      onOpen();
    },
  });
}

export function startNews() {
  const nothing = () => {};
  if (document.getElementById("live") && !socket) openSocket(() => CHANGES, { onFrame: nothing, onOpen: nothing });
}
