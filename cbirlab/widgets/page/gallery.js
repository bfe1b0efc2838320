// Gallery: a grid or a strip of pictures that are real buttons.
// Pictures are kept in the page by id, so that a new ranking is a list of numbers and a few captions.

function drawLegend(node, marks, used) {
  node.replaceChildren();
  for (const [name, mark] of Object.entries(marks)) {
    if (!used.includes(name)) continue;
    const item = make("span", "cbirlab-legend-item", node);
    const swatch = make("span", "cbirlab-swatch", item);
    swatch.style.border = mark.border;
    swatch.textContent = mark.symbol;
    make("span", "", item).textContent = mark.label;
  }
}

// A screen reader says nothing of use for an arrow.
function spoken(note) {
  const words = { "▲": "up by", "▼": "down by", "=": "same place" };
  return note.replace(/^[▲▼=]/, (sign) => words[sign]);
}

// One column of a narrow page, or one of two galleries side by side, has small pictures if nobody says how large they are.
const [SMALL, USUAL, NARROW] = [88, 124, 520];
const DOUBLE_CLICK = 220; // milliseconds in which a second click can follow

function render({ model, el }) {
  const store = openStore(model.get("store"));
  const { receive } = store;
  const asked = new Set();
  const visible = new Set();
  let waiting = false;
  let focusAt = 0;

  el.classList.add("cbirlab-gallery", `cbirlab-${model.get("arrangement")}`);
  const title = make("div", "cbirlab-title", el);
  const grid = make("div", "cbirlab-tiles", el);
  grid.setAttribute("role", "group");
  const legend = make("div", "cbirlab-legend", el);
  const live = make("div", "cbirlab-live", el);
  live.setAttribute("aria-live", "polite");
  const enlarged = openEnlarged({ model, el, tiles: grid, store });
  keepKeys(el);
  whenAttached(el, () => {
    const panel = el.closest(".cbirlab-panel") ?? el;
    keepKeys(panel);
    nameSliders(panel);
  });

  // Pictures that Python did not send ahead (a reloaded page, a second page, the far end of a strip) are asked for: those of
  // a grid at once, those of a strip, which may be long, when they are seen.
  function askForMissing() {
    waiting = false;
    const missing = [...(model.get("arrangement") === "grid" ? grid.children : visible)]
      .map((button) => Number(button.dataset.id))
      .filter((id) => !store.urls.has(id) && !asked.has(id));
    if (!missing.length) return;
    missing.forEach((id) => asked.add(id));
    model.send({ need: missing });
  }
  function askSoon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(askForMissing);
  }
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? visible.add(entry.target) : visible.delete(entry.target);
    askSoon();
  });

  // A click asks for a picture, a double click enlarges it: so a click of the mouse waits for a second one.
  let pending = 0;
  function clicked(button, event) {
    clearTimeout(pending);
    const id = Number(button.dataset.id);
    if (event.detail > 1) enlarged.show([...grid.children].indexOf(button));
    else pending = setTimeout(() => pick(id), event.detail ? DOUBLE_CLICK : 0);
  }
  function pick(id) {
    model.set("picked", id);
    model.set("clicks", model.get("clicks") + 1); // a second click on the same picture still counts
    model.save_changes();
  }

  // One tile at a time can be reached by Tab; arrows go on from there.
  function rove(position) {
    if (grid.children[focusAt]) grid.children[focusAt].tabIndex = -1;
    focusAt = position;
    grid.children[position].tabIndex = 0;
  }

  function tileAt(position) {
    if (grid.children[position]) return grid.children[position];
    const button = make("button", "cbirlab-tile", grid);
    button.type = "button";
    make("img", "", button).alt = "";
    make("span", "cbirlab-symbol", button);
    make("span", "cbirlab-change", button);
    const line = make("span", "cbirlab-line", button);
    make("span", "cbirlab-caption", line);
    make("span", "cbirlab-name", line);
    make("span", "cbirlab-live", button); // with the caption, the name of the button
    for (const part of [button.children[1], button.children[2], line.lastChild]) part.setAttribute("aria-hidden", "true");
    button.addEventListener("click", (event) => clicked(button, event));
    button.addEventListener("focus", () => rove(position)); // by mouse, by keys or by a script
    for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => store.hover(Number(button.dataset.id), el));
    for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => store.hover(null, el));
    observer.observe(button);
    return button;
  }

  function drawTile(button, position, id) {
    const marks = model.get("marks");
    const name = model.get("kinds")[position] ?? "";
    const mark = marks[name];
    const caption = model.get("captions")[position] ?? "";
    const note = model.get("notes")[position] ?? "";
    const [image, symbol, change, { children: [text, file] }, said] = button.children;
    const path = model.get("names")[position] ?? "";
    button.dataset.id = id;
    button.dataset.mark = name;
    button.tabIndex = position === focusAt ? 0 : -1;
    button.style.border = mark ? mark.border : "";
    said.textContent = [mark?.label, spoken(note)].filter(Boolean).join(", ") || (caption ? "" : `picture ${id}`);
    symbol.textContent = mark ? `${mark.symbol} ${mark.short}` : "";
    button.title = [path, model.get("asks"), "Double-click or press Z to enlarge it"].filter(Boolean).join("\n");
    text.textContent = caption;
    file.textContent = caption ? path.split("/").at(-1) : "";
    change.textContent = note;
    change.dataset.way = note[0] ?? "";
    drawImage(button, image, id);
    drawCurrent(button, id);
    drawHovered(button);
  }

  function drawImage(button, image, id) {
    const url = store.urls.get(id);
    if (url && image.src !== url) image.src = url; // the old picture stays until the new one is here: no white flash
    button.classList.toggle("cbirlab-absent", !url);
  }

  function drawCurrent(button, id) {
    const current = id === model.get("current");
    button.classList.toggle("cbirlab-current", current);
    if (model.get("arrangement") === "strip") button.setAttribute("aria-pressed", String(current));
  }

  // The picture that is hovered here or in another view of the same pictures.
  let hovered = null;
  function hoverChanged(id) {
    hovered = id;
    for (const button of grid.children) drawHovered(button);
  }
  function drawHovered(button) {
    button.classList.toggle("cbirlab-hovered", hovered !== null && Number(button.dataset.id) === hovered);
  }

  // As many columns as fit, but no more than the number of rows needs: 24 pictures stand as 8, 6, 4 or 3 in a row, none alone.
  // Few pictures do not fill the width: none is shown at more than twice its side.
  let columns = 1;
  function fitColumns() {
    const count = grid.children.length;
    const side = model.get("side") || (grid.clientWidth < NARROW ? SMALL : USUAL);
    const fitting = Math.max(1, Math.floor((grid.clientWidth + 6) / (side + 6)));
    columns = Math.max(1, Math.ceil(count / Math.ceil(count / fitting)));
    if (model.get("arrangement") === "grid") grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, ${2 * side}px))`;
    else grid.style.setProperty("--cbirlab-side", `${side}px`);
  }
  const resizing = new ResizeObserver(fitColumns);
  resizing.observe(grid);

  function report() {
    const tiles = [...grid.children];
    const complete = tiles.every((button) => store.urls.has(Number(button.dataset.id)));
    el.dataset.state = complete ? "ready" : "loading";
    el.dataset.serial = model.get("serial");
    if (model.get("arrangement") === "grid") live.textContent = title.textContent;
  }

  function draw() {
    const ids = model.get("ids");
    focusAt = Math.max(0, Math.min(focusAt, ids.length - 1));
    title.textContent = model.get("title");
    grid.setAttribute("aria-label", model.get("title"));
    const before = grid.children.length;
    ids.forEach((id, position) => drawTile(tileAt(position), position, id));
    while (grid.children.length > ids.length) {
      observer.unobserve(grid.lastChild);
      visible.delete(grid.lastChild);
      grid.lastChild.remove();
    }
    if (before !== ids.length || model.get("arrangement") === "strip") fitColumns();
    drawLegend(legend, model.get("marks"), model.get("legend"));
    report();
    askSoon();
  }

  function showCurrent() {
    for (const button of grid.children) {
      const id = Number(button.dataset.id);
      drawCurrent(button, id);
      if (id === model.get("current")) scrollStripTo(button);
    }
  }
  function scrollStripTo(button) {
    if (model.get("arrangement") !== "strip") return;
    const left = button.offsetLeft - grid.offsetLeft;
    const hidden = left < grid.scrollLeft || left + button.offsetWidth > grid.scrollLeft + grid.clientWidth;
    if (hidden) grid.scrollLeft = left - grid.clientWidth / 2; // scrollIntoView would move the notebook too
  }

  function refresh() {
    for (const button of grid.children) drawImage(button, button.firstChild, Number(button.dataset.id));
    report();
  }

  function move(event) {
    if (event.key.toLowerCase() === "z" && !event.ctrlKey && !event.metaKey) return enlarged.show(focusAt);
    const last = grid.children.length - 1;
    const down = model.get("arrangement") === "strip" ? 1 : columns;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: down, ArrowUp: -down, Home: -focusAt, End: last - focusAt };
    const to = focusAt + steps[event.key];
    if (!(event.key in steps) || to < 0 || to > last) return;
    event.preventDefault();
    grid.children[to].focus({ preventScroll: true });
    if (model.get("arrangement") === "strip") scrollStripTo(grid.children[to]);
    else grid.children[to].scrollIntoView({ block: "nearest" });
  }

  grid.addEventListener("keydown", move);
  store.views.add(refresh);
  store.hovers.add(hoverChanged);
  model.on("msg:custom", receive);
  model.on("change:serial", draw); // bumped last in one hold_sync() block: one redraw per ranking
  model.on("change:current", showCurrent);
  model.on("change:side", fitColumns);
  draw();
  whenAttached(el, showCurrent);
  return () => {
    model.off("msg:custom", receive);
    model.off("change:serial", draw);
    model.off("change:current", showCurrent);
    model.off("change:side", fitColumns);
    clearTimeout(pending);
    enlarged.close();
    observer.disconnect();
    resizing.disconnect();
    store.leave(refresh, hoverChanged);
  };
}

export default { render };
