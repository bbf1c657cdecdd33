"use strict";
/* The charts: drawn when they come near the window, in the page's colours, and anew when these change. */
const charts = (() => {
  const drawn = new Map();

  /* Vega's number of the level. */
  const ERRORS = 1;
  const NARROW = 600;

  function config() {
    const [text, quiet, line] = ["text", "quiet", "line"].map(theme.colour);
    const series = [1, 2, 3, 4, 5, 6].map((number) => theme.colour(`series-${number}`));
    const words = { labelColor: quiet, titleColor: text, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
    return {
      background: null,
      font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null },
      axis: { ...words, gridColor: line, domainColor: quiet, tickColor: quiet, labelLimit: 160 },
      legend: { ...words, labelLimit: 220 },
      header: words,
      title: { color: text, subtitleColor: quiet, fontSize: 13, fontWeight: 600 },
      text: { color: text, fill: text },
      rule: { color: quiet },
      mark: { color: series[0] },
      point: { filled: true },
      errorband: { opacity: 0.2 },
      range: { category: series, ramp: [theme.colour("cell-zero"), series[0]], diverging: ["low", "zero", "high"].map((end) => theme.colour(`cell-${end}`)) },
    };
  }

  /* On a phone one name a line: two of them side by side would be cut. */
  function fitted(spec) {
    if (innerWidth >= NARROW) return spec;
    return { ...spec, config: { ...spec.config, legend: { ...spec.config?.legend, columns: 1 } } };
  }

  async function draw(place, spec) {
    const before = drawn.get(place);
    drawn.set(place, null);
    if (before) before.finalize();
    /* The interpreter of expressions (ast): the page's policy lets nothing be evaluated. Errors are logged, warnings are
       not: a series without a number, which is no fault, is one. */
    const options = {
      actions: false, ast: true, renderer: "svg", config: config(), mode: "vega-lite", bind: place.nextElementSibling,
      logLevel: ERRORS,
    };
    place.nextElementSibling.replaceChildren();
    const made = await vegaEmbed(place, fitted(spec), options);
    drawn.set(place, made);
    /* The chart's own text alternative stands on its box: what is inside would be read a second time. */
    for (const inside of place.querySelectorAll("[role], [aria-label]")) {
      inside.removeAttribute("role");
      inside.removeAttribute("aria-label");
      inside.removeAttribute("aria-roledescription");
    }
  }

  function start(data) {
    const places = [...document.querySelectorAll(".chart")];
    const specOf = (place) => data[place.dataset.run].figures[place.dataset.figure];
    const watch = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting && !drawn.has(target)) draw(target, specOf(target));
      }
    }, { rootMargin: "400px" });
    for (const place of places) watch.observe(place);
    document.addEventListener("themechange", () => {
      for (const place of drawn.keys()) draw(place, specOf(place));
    });
    const all = () => { for (const place of places) if (!drawn.has(place)) draw(place, specOf(place)); };
    addEventListener("beforeprint", all);
    matchMedia("print").addEventListener("change", (event) => { if (event.matches) all(); });
  }

  return { start };
})();
