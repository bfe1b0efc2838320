// Scatter: pictures as points of a map. Hover shows the picture, a click picks it, a lasso selects, keys walk, the legend
// keeps groups.

const REACH = 12; // pixels from the pointer to the point it means
const AT_ONCE = 24; // pictures asked for together: the hovered one and its neighbours
const [ASPECT, MOST_GROWTH] = [0.75, 1.5]; // a wide map grows with its width, to so many times its height
const PAUSE_MILLISECONDS = 600; // after a zoom to the whole map, in which the wheel does not scroll the page yet

function render({ model, el }) {
  const store = openStore(model.get("store"));
  const { receive } = store;
  const plane = new Plane();
  const asked = new Set();
  let group = new Int16Array(0);
  let selected = new Set();
  let kept = new Set(); // groups chosen in the legend
  let leftOut = new Uint8Array(0); // 1 for points that something else has left out
  let drag = null;
  let asking = 0;
  let awaited = 0;
  const faint = (i, own) =>
    leftOut[i] === 1 || (selected.size > 0 && !selected.has(i)) || (kept.size > 0 && !kept.has(own));
  const groupOf = (i) => group[i] ?? -1;
  const scene = { members: [], groupOf, faint, look, picture, places: [] };
  Object.assign(scene, { highlight: [], current: -1, cursor: -1, hovered: -1, lasso: null });

  const parts = scatterParts(el, {
    arm: () => arm(!armed()),
    clear: () => select([]),
    zoom: (factor) => zoom(factor),
    fit: () => (plane.fit(), painter.repaint()),
  });
  const { title, lassoTool, clearTool, stage, canvas, tip, tipImage, tipText, legend, live } = parts;
  const painter = new Painter(canvas, plane, scene);
  keepKeys(el);
  whenAttached(el, () => keepKeys(el.closest(".cbirlab-panel") ?? el));

  const names = () => model.get("names");
  const scale = () => model.get("scale");
  const known = (id) => id >= 0 && id < plane.count;
  const armed = () => lassoTool.getAttribute("aria-pressed") === "true";
  const arm = (on) => {
    lassoTool.setAttribute("aria-pressed", String(on));
    stage.classList.toggle("cbirlab-armed", on);
  };
  arm(false);

  function describe(id) {
    const name = (scale().length ? model.get("notes")[id] : names()[group[id]]) ?? "";
    const label = model.get("labels")[id] || `picture ${id}`;
    const rank = model.get("highlight").indexOf(id) + 1;
    const role = id === model.get("current") ? "the query" : rank ? `result ${rank}` : "";
    return [label, name, role].filter(Boolean).join(", ");
  }

  // What is drawn

  const bytesOf = (name) => {
    const view = model.get(name);
    return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  };

  function load() {
    plane.load(model.get("points"), model.get("free"));
    Object.assign(scene, { hovered: -1, lasso: null });
    drag = null;
    if (!known(scene.cursor)) scene.cursor = -1;
    tip.hidden = true;
    el.dataset.points = plane.count;
    el.dataset.serial = model.get("serial");
    colour();
  }

  // Sort the points into groups; they stay where they are.
  function colour() {
    group = new Int16Array(bytesOf("groups"));
    const lists = new Map([[-1, []]]);
    for (let i = 0; i < plane.count; i++) {
      const own = groupOf(i);
      if (!lists.has(own)) lists.set(own, []);
      lists.get(own).push(i);
    }
    scene.members = [...lists].sort((a, b) => a[0] - b[0]);
    scene.places = scale().length ? [] : placesOf(plane, scene.members, names());
    el.dataset.colours = model.get("colours");
    keptChanged();
  }

  function look(own, dark) {
    if (own < 0) return lookOfNone(dark);
    return scale().length ? lookOfShare(own / (model.get("levels") - 1), dark) : lookOfPlace(model.get("looks")[own] ?? own, dark);
  }

  function keptChanged() {
    kept = new Set(model.get("kept"));
    leftOut = new Uint8Array(bytesOf("left_out"));
    const wanted = (i) => !faint(i, groupOf(i));
    if ((kept.size || leftOut.length) && plane.inView(0, wanted)?.length === 0) plane.fit(); // else nothing would be seen
    drawLegend();
    painter.repaint();
  }

  function drawLegend() {
    const count = new Map(scene.members.map(([own, points]) => [own, points.length]));
    const all = names().map((name, own) => ({ name, groups: [own], count: count.get(own) ?? 0 }));
    const looks = model.get("looks");
    const [coloured, grey] = [0, -1].map((least) => all.filter((_, own) => ((looks[own] ?? own) < 0) === (least < 0)));
    const items = grey.length ? [...coloured, others(grey)] : coloured;
    if (scale().length) fillScale(legend, scale(), gradient(painter.look().dark));
    else fillLegend(legend, items, (own) => painter.sprite(own, 4.5), kept, keep);
  }

  const others = (grey) => ({
    name: grey.length === 1 ? grey[0].name : `${grey.length} others`,
    groups: grey.flatMap((one) => one.groups),
    count: grey.reduce((sum, one) => sum + one.count, 0),
  });

  // Keep these groups beside those that are kept, or no longer.
  function keep(groups) {
    const now = new Set(kept);
    const had = groups.every((one) => now.has(one));
    groups.forEach((one) => (had ? now.delete(one) : now.add(one)));
    model.set("kept", [...now].sort((a, b) => a - b));
    model.save_changes();
  }

  // Hovering: the picture stands in the page already, or is asked for together with its neighbours

  function showTip(i) {
    tip.hidden = !known(i);
    if (tip.hidden) return;
    tipText.textContent = describe(i);
    const url = store.urls.get(i);
    tipImage.hidden = !url;
    if (url && tipImage.src !== url) tipImage.src = url;
    tip.dataset.id = url ? i : "";
    const [x, y] = [plane.x(i), plane.y(i)];
    const [wide, high] = [tip.offsetWidth, tip.offsetHeight];
    const aside = 16 + (painter.pictures.get(i)?.[0] ?? 0);
    tip.style.left = `${x + aside + wide > plane.width ? Math.max(0, x - aside - wide) : x + aside}px`;
    tip.style.top = `${Math.max(0, Math.min(y - high / 2, plane.height - high))}px`;
    if (!url) askSoon(i);
  }

  function askSoon(i) {
    clearTimeout(asking);
    asking = setTimeout(() => need(plane.around(plane.x(i), plane.y(i), 80)), 40);
  }

  function need(ids) {
    const missing = ids.filter((id) => !store.urls.has(id) && !asked.has(id)).slice(0, AT_ONCE);
    missing.forEach((id) => asked.add(id));
    if (missing.length) model.send({ need: missing });
  }

  // The picture of a point to draw; none while the page does not have it.
  function picture(i) {
    const image = store.loaded.get(i);
    if (image?.complete && image.naturalWidth) return image;
    if (image) image.addEventListener("load", () => painter.refresh(), { once: true });
    else awaited ||= setTimeout(askForSeen, 120); // once the wheel rests
    return null;
  }

  function askForSeen() {
    awaited = 0;
    need(plane.inView(FEW, (i) => !faint(i, groupOf(i))) ?? []);
  }

  function hoverChanged(id, from) {
    scene.hovered = id ?? -1;
    showTip(from === el ? scene.hovered : -1);
    painter.refresh();
  }
  const hover = (i) => i !== scene.hovered && store.hover(known(i) ? i : null, el);
  function refresh() {
    if (!tip.hidden) showTip(scene.hovered);
    painter.refresh();
  }

  // Picking and selecting

  function pick(i) {
    if (!known(i)) return;
    model.set("picked", i);
    model.set("clicks", model.get("clicks") + 1);
    model.save_changes();
    live.textContent = `Picked ${describe(i)}`;
  }

  function select(ids) {
    model.set("selected", ids);
    model.save_changes();
    live.textContent = ids.length ? `${ids.length} pictures selected` : "Selection cleared";
  }

  function selectionChanged() {
    selected = new Set(model.get("selected"));
    clearTool.hidden = !selected.size;
    clearTool.textContent = `Clear ${selected.size} selected`;
    el.dataset.selected = selected.size;
    painter.repaint();
  }

  // Pointer

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  // The picture at a place, or the point near it.
  function under(x, y) {
    const on = ([i, [wide, high]]) => Math.abs(plane.x(i) - x) <= wide && Math.abs(plane.y(i) - y) <= high;
    return [...painter.pictures].find(on)?.[0] ?? plane.nearest(x, y, REACH);
  }

  let [rests, scrolledAt, zoomedAt] = [false, [], -Infinity];

  function zoom(factor, x, y) {
    plane.zoom(factor, x, y);
    if (!tip.hidden) showTip(scene.hovered);
    painter.zoomed();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    if (event.shiftKey || armed()) scene.lasso = [at(event)];
    else drag = { from: at(event), last: at(event), moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    rests ||= event.screenX !== scrolledAt[0] || event.screenY !== scrolledAt[1];
    if (scene.lasso) {
      scene.lasso.push([x, y]);
      painter.refresh();
    } else if (drag) {
      drag.moved ||= Math.hypot(x - drag.from[0], y - drag.from[1]) > 4;
      if (!drag.moved) return;
      if (scene.hovered >= 0) hover(-1);
      plane.pan(x - drag.last[0], y - drag.last[1]);
      drag.last = [x, y];
      painter.refresh();
    } else hover(under(x, y));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (scene.lasso) {
      select(scene.lasso.length > 2 ? plane.inside(scene.lasso) : []);
      scene.lasso = null;
      arm(false);
    } else if (drag && !drag.moved) pick(under(...at(event)));
    if (drag?.moved) painter.repaint(); // the bitmap is centred again between two drags, not during one
    else painter.refresh();
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => {
    scene.lasso = drag = null;
    painter.refresh();
  });
  canvas.addEventListener("pointerleave", () => !drag && !scene.lasso && hover(-1));
  // The wheel zooms where the pointer rests, once it has moved on the map: where the page scrolls under it, it scrolls on.
  function wheel(event) {
    const out = event.deltaY > 0 && plane.fits;
    if (!event.ctrlKey && (!rests || (out && event.timeStamp - zoomedAt > PAUSE_MILLISECONDS))) return scrolls(event);
    event.preventDefault();
    event.stopPropagation();
    if (out) return;
    zoomedAt = event.timeStamp;
    zoom(Math.exp(-event.deltaY * (event.ctrlKey && Math.abs(event.deltaY) < 20 ? 0.01 : 0.0015)), ...at(event));
    if (plane.fits) plane.fit();
  }
  function scrolls(event) {
    [rests, scrolledAt] = [false, [event.screenX, event.screenY]];
  }
  const elsewhere = (event) => !event.composedPath().includes(canvas) && scrolls(event);
  canvas.addEventListener("wheel", wheel, { passive: false });
  document.addEventListener("wheel", elsewhere, { capture: true, passive: true });

  // Keys

  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

  function start() {
    const candidates = [scene.cursor, scene.hovered, model.get("current"), model.get("picked")];
    return candidates.find(known) ?? plane.nearest(plane.width / 2, plane.height / 2);
  }

  function walk(direction) {
    const from = start();
    if (!known(from)) return;
    const to = scene.cursor < 0 && from !== scene.hovered ? from : plane.towards(from, ...direction);
    if (to < 0) return;
    scene.cursor = to;
    plane.reveal(scene.cursor);
    store.hover(scene.cursor, el);
    live.textContent = describe(scene.cursor);
  }

  function escape(event) {
    if (scene.cursor >= 0 || scene.lasso || selected.size || armed()) event.stopPropagation(); // else it is JupyterLab's
    if (selected.size) select([]);
    Object.assign(scene, { cursor: -1, lasso: null });
    arm(false);
    hover(-1);
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) walk(ARROWS[event.key]);
    else if (event.key === "Enter" || event.key === " ") pick(scene.cursor);
    else if (event.key === "Escape") escape(event);
    else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0") plane.fit();
    else return;
    event.preventDefault();
    painter.refresh();
  });
  canvas.addEventListener("blur", () => {
    if (scene.cursor >= 0) hover(-1);
    scene.cursor = -1;
    painter.refresh();
  });

  // Surroundings

  const resizing = new ResizeObserver(() => {
    const least = model.get("height");
    const height = Math.round(Math.min(MOST_GROWTH * least, Math.max(least, ASPECT * stage.clientWidth)));
    canvas.style.height = `${height}px`;
    plane.resize(stage.clientWidth, height);
    themeChanged(); // colours are known only where the map is attached
    painter.repaint();
  });
  resizing.observe(stage);
  function themeChanged() {
    const before = JSON.stringify(painter.look());
    painter.theme = null;
    if (JSON.stringify(painter.look()) === before) return; // the host changes its classes for many reasons
    drawLegend();
    painter.repaint();
  }
  const themes = new MutationObserver(() => setTimeout(themeChanged, 250)); // style sheets arrive a little later
  for (const node of [document.body, document.documentElement]) {
    themes.observe(node, { attributes: true, attributeFilter: ["class", "style", "theme", "data-jp-theme-name"] });
  }
  function nameIt() {
    title.textContent = model.get("title");
    canvas.setAttribute("aria-label", `${model.get("title") || "Map"}: ${plane.count} pictures as points`);
  }
  function marksChanged() {
    scene.highlight = model.get("highlight");
    scene.current = model.get("current");
    painter.refresh();
  }
  const loadAll = () => (load(), nameIt());
  const heard = {
    "msg:custom": receive,
    "change:serial": loadAll, // bumped last in one hold_sync() block
    "change:highlight": marksChanged,
    "change:current": marksChanged,
    "change:selected": selectionChanged,
    "change:colours": colour,
    "change:kept": keptChanged,
    "change:left_out": keptChanged,
    "change:title": nameIt,
  };
  for (const [name, act] of Object.entries(heard)) model.on(name, act);
  store.views.add(refresh);
  store.hovers.add(hoverChanged);
  el.painter = painter; // how many frames, and below where a point lies: for tests and for who looks behind the scenes
  el.placeOf = (i) => {
    const box = canvas.getBoundingClientRect();
    return [box.left + plane.x(i), box.top + plane.y(i)];
  };
  marksChanged();
  loadAll();
  selectionChanged();
  return () => {
    for (const [name, act] of Object.entries(heard)) model.off(name, act);
    painter.stop();
    clearTimeout(asking);
    clearTimeout(awaited);
    document.removeEventListener("wheel", elsewhere, { capture: true });
    resizing.disconnect();
    themes.disconnect();
    store.leave(refresh, hoverChanged);
  };
}

export default { render };
