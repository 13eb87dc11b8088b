// Ages that grow and clocks that run down while one looks: every <time data-age> and <time data-ahead> is written again each
// quarter of a minute, in the words of the server (powerloom/console/templatetags/parts.py).

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
const EVERY = 15000;

export function age(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["s", 1];
  return `${Math.max(0, Math.floor(seconds / size))} ${unit}`;
}

// What a <time> says now.
export function told(time) {
  const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
  return age("ahead" in time.dataset ? -past : past);
}

function write() {
  for (const time of document.querySelectorAll("time:is([data-age], [data-ahead])")) {
    const text = told(time);
    if (time.textContent !== text) time.textContent = text;
  }
}

export function startTimes() {
  setInterval(write, EVERY);
}
