// Bars: one thin button per value, upwards if positive and downwards if negative, from the middle or, if grounded, from the
// bottom; a click or the arrow keys choose one.

function render({ model, el }) {
  el.classList.add("cbirlab-bars");
  const title = document.createElement("div");
  title.className = "cbirlab-title";
  const row = document.createElement("div");
  row.className = "cbirlab-bars-row";
  row.setAttribute("role", "listbox");
  row.setAttribute("aria-orientation", "horizontal");
  const said = document.createElement("div");
  said.className = "cbirlab-note";
  said.setAttribute("aria-live", "polite");
  el.append(title, row, said);

  function choose(place, focus) {
    const last = model.get("values").length - 1;
    const wanted = Math.max(0, Math.min(last, place));
    if (last < 0) return;
    model.set("chosen", wanted);
    model.set("clicks", model.get("clicks") + 1);
    model.save_changes();
    if (focus) row.children[wanted]?.focus();
  }

  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e6, End: 1e6 };
  row.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== "Tab" && event.key !== "Escape") event.stopPropagation(); // JupyterLab's command mode must not hear
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(model.get("chosen") + steps[event.key], true);
  });
  row.addEventListener("click", (event) => {
    const bar = event.target.closest("[role=option]");
    if (bar) choose([...row.children].indexOf(bar), true);
  });
  row.addEventListener("pointerover", (event) => {
    const bar = event.target.closest("[role=option]");
    if (bar) said.textContent = bar.getAttribute("aria-label");
  });
  row.addEventListener("pointerleave", sayChosen);

  function sayChosen() {
    said.textContent = model.get("labels")[model.get("chosen")] ?? "";
  }

  function draw() {
    const values = model.get("values");
    const labels = model.get("labels");
    const top = Math.max(1e-9, ...values.map(Math.abs));
    const grounded = model.get("grounded");
    row.classList.toggle("cbirlab-bars-grounded", grounded);
    title.textContent = model.get("title");
    row.setAttribute("aria-label", model.get("title"));
    while (row.children.length > values.length) row.lastChild.remove();
    while (row.children.length < values.length) {
      const bar = document.createElement("div");
      bar.setAttribute("role", "option");
      bar.append(document.createElement("i"));
      row.append(bar);
    }
    values.forEach((value, place) => {
      const bar = row.children[place];
      const share = ((grounded ? 100 : 50) * Math.abs(value)) / top;
      const foot = grounded ? 100 : 50;
      bar.className = value >= 0 ? "cbirlab-win" : "cbirlab-loss";
      const least = grounded ? (value ? 2 : 0) : 1; // pixels: a count of one is seen, none is not
      bar.firstChild.style.height = `max(${least}px, ${share}%)`;
      bar.firstChild.style.top = value >= 0 ? `calc(${foot}% - max(${least}px, ${share}%))` : `${foot}%`;
      bar.setAttribute("aria-label", labels[place] ?? `${value}`);
    });
    drawChosen();
  }

  function drawChosen() {
    const chosen = model.get("chosen");
    [...row.children].forEach((bar, place) => {
      bar.tabIndex = place === chosen ? 0 : -1;
      bar.setAttribute("aria-selected", place === chosen ? "true" : "false");
    });
    sayChosen();
  }

  model.on("change:serial", draw);
  model.on("change:chosen", drawChosen);
  draw();
  return () => {
    model.off("change:serial", draw);
    model.off("change:chosen", drawChosen);
  };
}

export default { render };
