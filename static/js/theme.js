// The theme switch: system, light, dark. The choice is a cookie, because only the server can put it on <html> before the first
// paint without an inline script.

const NEXT = { system: "light", light: "dark", dark: "system" };
const WORDS = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const YEAR = 31536000;

function chosen() {
  return document.documentElement.dataset.theme || "system";
}

function show(button) {
  const theme = chosen();
  button.setAttribute("aria-label", WORDS[theme]);
  button.title = WORDS[theme];
  for (const icon of button.querySelectorAll("[data-for-theme]")) icon.toggleAttribute("hidden", icon.dataset.forTheme !== theme);
}

function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
}

export function startTheme() {
  const buttons = [...document.querySelectorAll("[data-theme-switch]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      choose(NEXT[chosen()]);
      buttons.forEach(show);
    });
  }
}
