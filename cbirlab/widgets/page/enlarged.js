// One picture of a gallery, large: zoom by the wheel, by keys and by buttons, drag to move, arrows for the next picture.

const [LEAST_ZOOM, MOST_ZOOM, STEP] = [1, 16, 1.25];

function openEnlarged({ model, el, tiles, store }) {
  const large = new Map(); // URLs by id, of this opening
  let dialog, image, title, position, zoom, place;

  function build() {
    dialog = make("dialog", "cbirlab-enlarged", el);
    const bar = make("div", "cbirlab-enlarged-bar", dialog);
    title = make("span", "cbirlab-enlarged-title", bar);
    title.id = `cbirlab-enlarged-${Math.random().toString(36).slice(2)}`;
    dialog.setAttribute("aria-labelledby", title.id);
    const button = (text, label, action) => {
      const made = make("button", "cbirlab-enlarged-tool", bar);
      Object.assign(made, { type: "button", textContent: text, title: label, onclick: action });
      made.setAttribute("aria-label", label);
    };
    button("‹", "Previous picture (←)", () => turn(-1));
    button("›", "Next picture (→)", () => turn(1));
    button("−", "Smaller (-)", () => zoomBy(1 / STEP));
    button("+", "Larger (+)", () => zoomBy(STEP));
    button("✕", "Close (Esc)", () => dialog.close());
    const stage = make("div", "cbirlab-enlarged-stage", dialog);
    image = make("img", "", stage);
    image.draggable = false;
    dialog.addEventListener("close", forget);
    dialog.addEventListener("keydown", (event) => {
      const actions = { ArrowLeft: () => turn(-1), ArrowRight: () => turn(1), "+": () => zoomBy(STEP), "-": () => zoomBy(1 / STEP), 0: fit };
      if (event.key in actions) {
        actions[event.key]();
        event.preventDefault();
      }
      event.stopPropagation(); // no arrow of the gallery, no key of JupyterLab
    });
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const frame = stage.getBoundingClientRect();
      zoomBy(event.deltaY < 0 ? STEP : 1 / STEP, event.clientX - frame.left - frame.width / 2, event.clientY - frame.top - frame.height / 2);
    }, { passive: false });
    let from = null;
    stage.addEventListener("pointerdown", (event) => {
      from = [event.clientX - place[0], event.clientY - place[1]];
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (from) moveTo(event.clientX - from[0], event.clientY - from[1]);
    });
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => (from = null));
  }

  const moveTo = (x, y) => {
    place = [x, y];
    image.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
  };
  // What lies under the pointer, (x, y) from the middle, stays there.
  function zoomBy(factor, x = 0, y = 0) {
    const wanted = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, zoom * factor));
    const ratio = wanted / zoom;
    zoom = wanted;
    if (zoom === LEAST_ZOOM) moveTo(0, 0);
    else moveTo(x - (x - place[0]) * ratio, y - (y - place[1]) * ratio);
  }
  function fit() {
    zoom = LEAST_ZOOM;
    moveTo(0, 0);
  }

  function turn(step) {
    const next = position + step;
    if (next >= 0 && next < tiles.children.length) look(next);
  }
  function look(at) {
    position = at;
    const button = tiles.children[position];
    const id = Number(button.dataset.id);
    const name = model.get("names")[position] ?? "";
    const said = [".cbirlab-caption", ".cbirlab-live"].map((part) => button.querySelector(part).textContent);
    title.textContent = [...said, name].filter(Boolean).join(" · ");
    image.alt = title.textContent;
    image.src = large.get(id) ?? store.urls.get(id) ?? ""; // the thumbnail until the picture is here
    dialog.dataset.id = id;
    dialog.dataset.state = large.has(id) ? "ready" : "loading";
    if (!large.has(id)) model.send({ large: id });
    fit();
  }
  function receive(message, buffers) {
    if (message.large === undefined || !dialog?.open) return;
    if (!large.has(message.large)) large.set(message.large, URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" })));
    if (Number(dialog.dataset.id) !== message.large) return;
    image.src = large.get(message.large);
    dialog.dataset.state = "ready";
  }
  function forget() {
    if (dialog.open) return; // it was opened again before this event came
    model.off("msg:custom", receive);
    large.forEach((url) => URL.revokeObjectURL(url));
    large.clear();
    tiles.children[position]?.focus({ preventScroll: true });
  }

  return {
    show(at) {
      if (!dialog) build();
      model.off("msg:custom", receive);
      model.on("msg:custom", receive);
      if (!dialog.open) dialog.showModal();
      look(at);
    },
    close: () => dialog?.close(),
  };
}
