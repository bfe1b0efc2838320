// JudgedGallery: results, each with two buttons that say whether it shows the same as the query.
// Keys: arrows go from picture to picture, Tab to the other button of one; S and N press the two buttons.

const SAYINGS = [
  { said: "same", sign: "✓", words: "same", key: "s" },
  { said: "not", sign: "✗", words: "not the same", key: "n" },
];

function render({ model, el }) {
  const store = openStore(model.get("store"));
  const { receive } = store;
  let focusAt = 0;

  el.classList.add("cbirlab-gallery", "cbirlab-grid", "cbirlab-judged");
  const title = make("div", "cbirlab-title", el);
  const grid = make("div", "cbirlab-tiles", el);
  grid.setAttribute("role", "group");
  const live = make("div", "cbirlab-live", el);
  live.setAttribute("aria-live", "polite");
  keepKeys(el);
  whenAttached(el, () => keepKeys(el.closest(".cbirlab-panel") ?? el));

  function judge(tile, said) {
    model.send({ judged: Number(tile.dataset.id), said });
  }

  // The buttons of one picture at a time can be reached by Tab; arrows go on from there.
  function rove(position) {
    focusAt = position;
    [...grid.children].forEach((tile, place) => {
      for (const button of tile.querySelectorAll("button")) button.tabIndex = place === focusAt ? 0 : -1;
    });
  }

  function tileAt(position) {
    if (grid.children[position]) return grid.children[position];
    const tile = make("div", "cbirlab-tile", grid);
    tile.setAttribute("role", "group");
    make("img", "", tile).alt = "";
    make("span", "cbirlab-caption", tile);
    make("span", "cbirlab-change", tile);
    const row = make("span", "cbirlab-sayings", tile);
    for (const { said, sign, words, key } of SAYINGS) {
      const button = make("button", "cbirlab-saying", row);
      button.type = "button";
      button.dataset.said = said;
      make("span", "", button).textContent = sign;
      make("span", "", button).textContent = words;
      button.title = `${words}: key ${key.toUpperCase()}`;
      button.addEventListener("click", () => judge(tile, said));
      button.addEventListener("focus", () => rove(position));
    }
    return tile;
  }

  function drawTile(tile, position, id) {
    const caption = model.get("captions")[position] ?? "";
    const note = model.get("notes")[position] ?? "";
    const said = model.get("said")[position] ?? "";
    const [image, text, change, row] = tile.children;
    tile.dataset.id = id;
    tile.dataset.said = said;
    text.textContent = caption;
    change.textContent = note;
    change.dataset.way = note[0] ?? "";
    tile.setAttribute("aria-label", `result ${caption}`);
    [...row.children].forEach((button, place) => {
      button.setAttribute("aria-pressed", String(said === SAYINGS[place].said));
      button.setAttribute("aria-label", `${SAYINGS[place].words}, result ${caption}`);
    });
    drawImage(tile, image, id);
  }

  function drawImage(tile, image, id) {
    const url = store.urls.get(id);
    if (url && image.src !== url) image.src = url;
    tile.classList.toggle("cbirlab-absent", !url);
  }

  let columns = 1;
  function fitColumns() {
    const count = grid.children.length;
    const fitting = Math.max(1, Math.floor((grid.clientWidth + 6) / (model.get("side") + 6)));
    columns = Math.max(1, Math.ceil(count / Math.ceil(count / fitting)));
    grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, ${Math.round(1.5 * model.get("side"))}px))`;
  }
  const resizing = new ResizeObserver(fitColumns);
  resizing.observe(grid);

  function report() {
    const tiles = [...grid.children];
    el.dataset.state = tiles.every((tile) => store.urls.has(Number(tile.dataset.id))) ? "ready" : "loading";
    el.dataset.serial = model.get("serial");
    live.textContent = title.textContent;
  }

  function draw() {
    const ids = model.get("ids");
    title.textContent = model.get("title");
    grid.setAttribute("aria-label", model.get("title"));
    const before = grid.children.length;
    ids.forEach((id, position) => drawTile(tileAt(position), position, id));
    while (grid.children.length > ids.length) grid.lastChild.remove();
    rove(Math.max(0, Math.min(focusAt, ids.length - 1)));
    if (before !== ids.length) fitColumns();
    report();
    const missing = ids.filter((id) => !store.urls.has(id));
    if (missing.length) model.send({ need: missing });
  }

  function refresh() {
    for (const tile of grid.children) drawImage(tile, tile.firstChild, Number(tile.dataset.id));
    report();
  }

  function press(event) {
    const tile = event.target.closest(".cbirlab-tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const saying = SAYINGS.find(({ key }) => key === event.key.toLowerCase());
    if (saying) return judge(tile, saying.said);
    const last = grid.children.length - 1;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -focusAt, End: last - focusAt };
    const to = focusAt + steps[event.key];
    if (!(event.key in steps) || to < 0 || to > last) return;
    event.preventDefault();
    const which = event.target.dataset.said ?? SAYINGS[0].said;
    grid.children[to].querySelector(`button[data-said="${which}"]`).focus({ preventScroll: true });
    grid.children[to].scrollIntoView({ block: "nearest" });
  }

  grid.addEventListener("keydown", press);
  store.views.add(refresh);
  model.on("msg:custom", receive);
  model.on("change:serial", draw); // bumped last in one hold_sync() block: one redraw per ranking
  draw();
  return () => {
    model.off("msg:custom", receive);
    model.off("change:serial", draw);
    resizing.disconnect();
    store.leave(refresh, () => {});
  };
}

export default { render };
