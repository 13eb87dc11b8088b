// Ages that grow while one looks: every <time data-age> is written again each quarter of a minute, in the words of the server
// (powerloom/console/templatetags/parts.py).

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
const EVERY = 15000;

export function age(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["s", 1];
  return `${Math.max(0, Math.floor(seconds / size))} ${unit}`;
}

function write() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const text = age((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

export function startTimes() {
  setInterval(write, EVERY);
}
