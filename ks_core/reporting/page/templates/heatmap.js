"use strict";
/* P of all pairs of one layer as a picture: one pixel a pair, drawn anew as the slider moves. */
const heatmap = (() => {
  /* Of a value that is not defined. */
  const NOT_DEFINED = -32768;

  function decode(text) {
    const raw = atob(text);
    const bytes = Uint8Array.from(raw, (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Int16Array.from({ length: bytes.length / 2 }, (_, place) => view.getInt16(2 * place, true));
  }

  const channels = (hex) => {
    const long = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
    return [1, 3, 5].map((place) => parseInt(long.slice(place, place + 2), 16));
  };

  function palette() {
    const [low, zero, high] = ["low", "zero", "high"].map((end) => channels(theme.colour(`cell-${end}`)));
    const nothing = channels(theme.colour("rule"));
    return (value) => {
      /* By the root, so that small entries, nearly all, can be told from nothing; beyond 1 all look alike. */
      const share = Math.sqrt(Math.min(1, Math.abs(value)));
      const end = value < 0 ? low : high;
      if (Number.isNaN(value)) return nothing;
      return zero.map((from, place) => Math.round(from + share * (end[place] - from)));
    };
  }

  function tip() {
    const made = document.createElement("div");
    made.className = "tip";
    made.setAttribute("role", "tooltip");
    made.hidden = true;
    document.body.append(made);
    return made;
  }

  class Picture {
    constructor(figure, data, tooltip) {
      this.data = data;
      this.tooltip = tooltip;
      this.count = data.facts.length;
      this.values = decode(data.values);
      this.canvas = figure.querySelector("canvas");
      this.slider = figure.querySelector(".slider");
      this.output = figure.querySelector("output.layer");
      this.said = figure.querySelector(".cell");
      this.controls = document.querySelector(`.controls[data-table^="${figure.dataset.run}-"]`);
      this.chosen = [0, Math.min(1, this.count - 1)];
      this.canvas.width = this.canvas.height = this.count;
      this.listen();
      this.show();
    }

    get layer() { return Number(this.slider.value); }

    at(edited, disturbed) {
      const value = this.values[(this.layer * this.count + edited) * this.count + disturbed];
      return value === NOT_DEFINED ? NaN : value / this.data.scale;
    }

    draw() {
      const image = new ImageData(this.count, this.count);
      const colour = palette();
      for (let edited = 0, place = 0; edited < this.count; edited += 1) {
        for (let disturbed = 0; disturbed < this.count; disturbed += 1, place += 4) {
          image.data.set(colour(this.at(edited, disturbed)), place);
          image.data[place + 3] = 255;
        }
      }
      this.canvas.getContext("2d").putImageData(image, 0, 0);
    }

    show() {
      const layer = String(this.data.layers[this.layer]);
      this.output.textContent = layer;
      this.slider.setAttribute("aria-valuetext", `layer ${layer}`);
      if (this.controls) {
        this.controls.dataset.layer = layer;
        this.controls.dispatchEvent(new Event("layerchange"));
      }
      this.draw();
    }

    words(edited, disturbed) {
      const { facts, relations, layers } = this.data;
      const found = this.at(edited, disturbed);
      const value = Number.isNaN(found) ? "not defined" : found.toFixed(3).replace("-", "−");
      if (edited === disturbed) return `${facts[edited]}\nwith itself: P = ${value}`;
      const related = relations[edited] === relations[disturbed] ? "\nof one relation" : "";
      return `edited: ${facts[edited]}\ndisturbed: ${facts[disturbed]}\nP = ${value} in layer ${layers[this.layer]}${related}`;
    }

    point(event) {
      const box = this.canvas.getBoundingClientRect();
      const place = (at, from, size) => Math.min(this.count - 1, Math.max(0, Math.floor(((at - from) / size) * this.count)));
      this.chosen = [place(event.clientY, box.top, box.height), place(event.clientX, box.left, box.width)];
      this.tooltip.textContent = this.words(...this.chosen);
      this.tooltip.hidden = false;
      const width = this.tooltip.offsetWidth, height = this.tooltip.offsetHeight;
      const left = Math.min(event.clientX + 14, innerWidth - width - 8);
      const below = event.clientY + 14;
      this.tooltip.style.left = `${Math.max(8, left)}px`;
      this.tooltip.style.top = `${below + height > innerHeight ? event.clientY - height - 10 : below}px`;
    }

    move(event) {
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      this.chosen = this.chosen.map((at, axis) => Math.min(this.count - 1, Math.max(0, at + step[axis])));
      this.said.textContent = this.words(...this.chosen);
    }

    listen() {
      this.slider.addEventListener("input", () => this.show());
      this.canvas.addEventListener("pointermove", (event) => this.point(event));
      this.canvas.addEventListener("pointerdown", (event) => {
        this.point(event);
        this.said.textContent = this.words(...this.chosen);
      });
      this.canvas.addEventListener("pointerleave", () => { this.tooltip.hidden = true; });
      this.canvas.addEventListener("keydown", (event) => this.move(event));
      document.addEventListener("themechange", () => this.draw());
    }
  }

  function start(data) {
    const figures = [...document.querySelectorAll("figure.heatmap")];
    if (!figures.length) return;
    const tooltip = tip();
    for (const figure of figures) new Picture(figure, data[figure.dataset.run].heatmap, tooltip);
  }

  return { start };
})();
