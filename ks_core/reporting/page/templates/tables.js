"use strict";
/* Tables that are sorted by the buttons of their heads, and searched. */
const tables = (() => {
  function keyOf(row, column, isNumber) {
    const cell = row.cells[column];
    if (!isNumber) return cell.textContent.trim();
    return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
  }

  /* What is not known comes last, whichever way. */
  function compare(a, b, way) {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return way === "ascending" ? order : -order;
  }

  function sort(table, head) {
    const column = head.cellIndex;
    const isNumber = head.classList.contains("number");
    const first = isNumber ? "descending" : "ascending";
    const other = isNumber ? "ascending" : "descending";
    const way = head.getAttribute("aria-sort") === first ? other : first;
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way);
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [keyOf(row, column, isNumber), row]);
    rows.sort((a, b) => compare(a[0], b[0], way));
    body.append(...rows.map(([, row]) => row));
  }

  /* Rows that hold every word of the search and are of what is to be shown. */
  function filter(controls) {
    const table = document.getElementById(controls.dataset.table);
    const words = controls.querySelector(".search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const which = controls.querySelector(".which").value;
    const withSame = controls.querySelector(".same").checked;
    const column = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent.trim() === "layer");
    const isShown = {
      once: (row) => "strongest" in row.dataset,
      all: () => true,
      layer: (row) => row.cells[column].dataset.sort !== "" && Number(row.cells[column].dataset.sort) === Number(controls.dataset.layer),
    }[which];
    let count = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(isShown(row) && (withSame || !("same" in row.dataset)) && words.every((word) => text.includes(word)));
      count += !row.hidden;
    }
    controls.querySelector(".shown").textContent = count === 1 ? "1 pair" : `${count} pairs`;
  }

  function start() {
    for (const head of document.querySelectorAll("table.sortable th")) {
      head.querySelector(".sort").addEventListener("click", () => sort(head.closest("table"), head));
    }
    for (const controls of document.querySelectorAll(".controls[data-table]")) {
      const again = () => filter(controls);
      controls.addEventListener("input", again);
      controls.addEventListener("layerchange", again);
      again();
    }
  }

  return { start };
})();
