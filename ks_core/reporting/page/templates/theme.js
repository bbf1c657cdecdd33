"use strict";
/* Light and dark: the system's scheme, or what the button says. Others listen for "themechange". */
const theme = (() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paper = matchMedia("print");
  const kept = () => { try { return localStorage.getItem("ks-theme"); } catch { return null; } };
  const isDark = () => !paper.matches && (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const told = () => document.dispatchEvent(new Event("themechange"));

  function name() {
    const button = document.getElementById("theme");
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  }

  function start() {
    const button = document.getElementById("theme");
    const before = kept();
    if (before === "dark" || before === "light") root.dataset.theme = before;
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("ks-theme", root.dataset.theme); } catch { /* a file may have no storage */ }
      name();
      told();
    });
    for (const media of [system, paper]) media.addEventListener("change", () => { name(); told(); });
  }

  return { start, isDark, colour };
})();
