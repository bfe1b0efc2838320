// Squares: a row per picture, a square per bit of its code. Filled is 1, hollow is 0; what differs from the first row is
// orange and crossed. A click or the arrow keys choose a bit, which is a column. Before this stands thumbnails.js.

const PER_LINE = 64; // longer codes go on in the next line
const STEP = 10;
const SVG = "http://www.w3.org/2000/svg";

function render({ model, el }) {
  const store = openStore(model.get("store"));
  const { receive } = store;
  el.classList.add("cbirlab-squares");
  const title = make("div", "cbirlab-title", el);
  const table = make("div", "cbirlab-squares-rows", el);
  table.tabIndex = 0;
  table.setAttribute("role", "slider");
  table.setAttribute("aria-label", "bit");
  const said = make("div", "cbirlab-note", el);
  said.setAttribute("aria-live", "polite");
  keepKeys(el);

  function choose(bit) {
    const last = model.get("columns") - 1;
    if (last < 0) return;
    model.set("chosen", Math.max(0, Math.min(last, bit)));
    model.set("clicks", model.get("clicks") + 1);
    model.save_changes();
  }

  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -1e6, End: 1e6 };
  table.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in steps)) return;
    event.preventDefault();
    choose(model.get("chosen") + steps[event.key]);
  });
  table.addEventListener("click", (event) => {
    const square = event.target.closest("[data-bit]");
    if (square) choose(Number(square.dataset.bit));
  });
  table.addEventListener("pointerover", (event) => {
    const square = event.target.closest("[data-bit]");
    if (square) say(Number(square.dataset.bit));
  });
  table.addEventListener("pointerleave", () => say(model.get("chosen")));

  function say(bit) {
    said.textContent = model.get("labels")[bit] ?? model.get("hint");
  }

  function place(bit) {
    return [STEP * (bit % PER_LINE), STEP * Math.floor(bit / PER_LINE)];
  }

  function squaresOf(row) {
    const bits = new Uint8Array(model.get("bits").buffer, model.get("bits").byteOffset);
    const columns = model.get("columns");
    const strength = model.get("strength");
    const parts = [];
    for (let bit = 0; bit < columns; bit++) {
      const [x, y] = place(bit);
      const value = bits[row * columns + bit];
      const other = row > 0 && value !== bits[bit];
      const faint = row === 0 ? ` opacity="${(0.25 + 0.75 * (strength[bit] ?? 1)).toFixed(2)}"` : "";
      const kind = `${value ? "cbirlab-one" : "cbirlab-zero"}${other ? " cbirlab-other" : ""}`;
      const cross = other ? `<path d="M${x + 2.4} ${y + 2.4}l5.2 5.2"/>` : "";
      parts.push(
        `<g class="${kind}" data-bit="${bit}"><rect class="cbirlab-under" x="${x}" y="${y}" width="10" height="10"/>` +
          `<rect x="${x + 1.4}" y="${y + 1.4}" width="7.2" height="7.2"${faint}/>${cross}</g>`,
      );
    }
    return parts.join("");
  }

  function draw() {
    const columns = model.get("columns");
    const ids = columns ? model.get("ids") : [];
    const lines = Math.ceil(columns / PER_LINE);
    const wide = Math.min(columns, PER_LINE);
    title.textContent = model.get("title");
    table.setAttribute("aria-valuemax", columns - 1);
    table.replaceChildren();
    ids.forEach((id, row) => {
      const line = make("div", "cbirlab-squares-row", table);
      const image = make("img", "", line);
      image.alt = "";
      image.dataset.id = id;
      make("span", "", line).textContent = model.get("captions")[row] ?? "";
      const squares = document.createElementNS(SVG, "svg");
      squares.setAttribute("viewBox", `0 0 ${STEP * wide} ${STEP * lines}`);
      squares.style.maxWidth = `${14 * wide}px`;
      squares.innerHTML = squaresOf(row);
      line.append(squares);
    });
    drawImages();
    drawChosen();
  }

  function drawImages() {
    for (const image of table.querySelectorAll("img")) {
      const url = store.urls.get(Number(image.dataset.id));
      if (url && image.src !== url) image.src = url;
    }
  }

  function drawChosen() {
    const chosen = model.get("chosen");
    for (const square of table.querySelectorAll(".cbirlab-chosen")) square.classList.remove("cbirlab-chosen");
    for (const square of table.querySelectorAll(`[data-bit="${chosen}"]`)) square.classList.add("cbirlab-chosen");
    table.setAttribute("aria-valuenow", chosen);
    table.setAttribute("aria-valuetext", model.get("labels")[chosen] ?? "no bit");
    say(chosen);
  }

  function ask() {
    const missing = model.get("ids").filter((id) => !store.urls.has(id));
    if (missing.length) model.send({ need: missing });
  }

  const changed = () => {
    draw();
    ask();
  };
  store.views.add(drawImages);
  model.on("msg:custom", receive);
  model.on("change:serial", changed);
  model.on("change:chosen", drawChosen);
  changed();
  return () => {
    store.leave(drawImages, null);
    model.off("msg:custom", receive);
    model.off("change:serial", changed);
    model.off("change:chosen", drawChosen);
  };
}

export default { render };
