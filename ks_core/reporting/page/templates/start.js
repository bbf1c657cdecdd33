"use strict";
/* Begins when the page is there: data read once, then each part; a link to a run opens it; paper gets what is closed. */
(() => {
  const data = {};
  for (const each of document.querySelectorAll("script.data")) data[each.dataset.run] = JSON.parse(each.textContent);
  theme.start();
  tables.start();
  heatmap.start(data);
  charts.start(data);

  function open() {
    const run = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const around = run && run.closest("details");
    if (around) around.open = true;
  }
  addEventListener("hashchange", open);
  open();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
})();
