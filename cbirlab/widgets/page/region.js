// The query: a picture on which a rectangle is drawn, and onto which another picture can be dropped.

const LARGEST_FILE = 6_000_000; // bytes: Jupyter's server refuses messages above 10 MB
const SHRUNK_SIDE = 2048;
const SMALLEST = 0.02; // of the picture: a shorter drag is a click

function within(value) {
  return Math.max(0, Math.min(1, value));
}

function ordered([x0, y0, x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)].map(within);
}

// Photographs of many megabytes go in at the size that any network here can use.
async function bytesOf(file) {
  if (file.size <= LARGEST_FILE) return file.arrayBuffer();
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SHRUNK_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 })).arrayBuffer();
}

function render({ model, el }) {
  el.classList.add("cbirlab-region");
  const paper = make("div", "cbirlab-paper", el);
  const beside = make("div", "cbirlab-beside", el);
  const image = make("img", "", paper);
  image.draggable = false;
  const given = make("div", "cbirlab-given", paper);
  const drawn = make("div", "cbirlab-drawn", paper);
  const buttons = make("div", "cbirlab-region-buttons", beside);
  const choose = make("button", "jupyter-widgets jupyter-button widget-button", buttons);
  choose.type = "button";
  choose.textContent = "Own picture …";
  choose.title = "Search with a picture of yours; or drop one onto the query";
  const clear = make("button", "jupyter-widgets jupyter-button widget-button", buttons);
  clear.type = "button";
  clear.textContent = "Clear rectangle";
  clear.title = "Search with the whole query again (Escape)";
  const input = make("input", "", el);
  input.type = "file";
  input.accept = "image/*";
  input.hidden = true;
  const hint = make("p", "cbirlab-note", beside);
  const live = make("div", "cbirlab-live", el);
  live.setAttribute("aria-live", "polite");
  paper.tabIndex = 0;
  paper.setAttribute("role", "application");
  keepKeys(el);

  function place(node, box) {
    node.style.display = box.length ? "" : "none";
    if (!box.length) return;
    const [x0, y0, x1, y1] = box.map((edge) => 100 * edge);
    Object.assign(node.style, { left: `${x0}%`, top: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` });
  }
  let url = "";
  function drawPicture() {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/jpeg" }));
    image.src = url;
  }
  // What was asked for here and has not been answered goes before what Python shows: its answer to an older rectangle may
  // come late.
  function current() {
    const [asked, shown] = [model.get("asked"), model.get("shown")];
    return (asked.count ?? 0) > (shown.count ?? 0) ? asked.box : (shown.box ?? []);
  }
  function draw() {
    const box = current();
    image.alt = model.get("description");
    place(given, box.length ? [] : model.get("given"));
    place(drawn, box);
    clear.disabled = !box.length;
    hint.textContent = box.length
      ? "The rectangle is the query. Drag another, or press Escape for the whole picture."
      : "Drag a rectangle to search for a part (keys: Enter, then arrows).";
    paper.setAttribute("aria-label", `${model.get("description")}. ${hint.textContent}`);
    el.dataset.box = box.map((edge) => edge.toFixed(3)).join(" ");
  }
  function ask(box) {
    model.set("asked", { box, count: (model.get("asked").count ?? 0) + 1 });
    model.save_changes();
    live.textContent = box.length ? "A part of the picture is the query." : "The whole picture is the query.";
  }

  let start = null;
  const at = (event) => {
    const frame = paper.getBoundingClientRect();
    return [within((event.clientX - frame.left) / frame.width), within((event.clientY - frame.top) / frame.height)];
  };
  paper.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    start = at(event);
    paper.setPointerCapture(event.pointerId);
  });
  paper.addEventListener("pointermove", (event) => {
    if (start) place(drawn, ordered([...start, ...at(event)]));
  });
  paper.addEventListener("pointerup", (event) => {
    if (!start) return;
    const box = ordered([...start, ...at(event)]);
    start = null;
    if (box[2] - box[0] >= SMALLEST && box[3] - box[1] >= SMALLEST) ask(box);
    else draw();
  });
  paper.addEventListener("pointercancel", () => {
    start = null;
    draw();
  });

  const STEP = 0.04;
  const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  function moved([x0, y0, x1, y1], [right, down], corner) {
    if (corner) return [x0, y0, Math.max(x0 + SMALLEST, within(x1 + right)), Math.max(y0 + SMALLEST, within(y1 + down))];
    const across = Math.max(-x0, Math.min(1 - x1, right));
    const along = Math.max(-y0, Math.min(1 - y1, down));
    return [x0 + across, y0 + along, x1 + across, y1 + along];
  }
  el.addEventListener("keydown", (event) => {
    const box = current();
    if (event.key === "Escape" && (box.length || start)) {
      start = null;
      ask([]);
    } else if (event.target === paper && event.key === "Enter" && !event.shiftKey && !box.length) {
      ask([0.25, 0.25, 0.75, 0.75]);
    } else if (event.target === paper && event.key in MOVES && box.length) {
      ask(moved(box, MOVES[event.key], event.shiftKey));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  async function send(file) {
    if (!file) return;
    try {
      model.send({ own: file.name }, undefined, [await bytesOf(file)]);
    } catch (error) {
      model.send({ unreadable: file.name });
    }
  }
  choose.addEventListener("click", () => input.click());
  clear.addEventListener("click", () => {
    ask([]);
    paper.focus({ preventScroll: true });
  });
  input.addEventListener("change", () => {
    send(input.files[0]);
    input.value = ""; // the same file can be chosen again
  });
  el.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    paper.classList.add("cbirlab-dropping");
  });
  el.addEventListener("dragleave", () => paper.classList.remove("cbirlab-dropping"));
  el.addEventListener("drop", (event) => {
    paper.classList.remove("cbirlab-dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    send(event.dataTransfer.files[0]);
  });

  model.on("change:picture", drawPicture);
  model.on("change:asked change:shown change:given change:description", draw);
  drawPicture();
  draw();
  return () => {
    model.off("change:picture", drawPicture);
    model.off("change:asked change:shown change:given change:description", draw);
    URL.revokeObjectURL(url);
  };
}

export default { render };
