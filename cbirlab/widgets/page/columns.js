// Which columns the files of the pinned settings hold: a fold with a tick box for each, in words.

function render({ model, el }) {
  el.classList.add("cbirlab-choice");
  const fold = document.createElement("details");
  const summary = document.createElement("summary");
  const group = document.createElement("div");
  group.className = "cbirlab-choice-boxes";
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Columns of the files");
  const usual = button("Usual columns", () => choose(null));
  const all = button("All columns", () => choose(names()));
  const both = document.createElement("div");
  both.append(usual, all);
  fold.append(summary, group, both);
  el.append(fold);

  const names = () => model.get("offered").map(([name]) => name);
  const ticked = () => [...group.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);

  function button(text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "jupyter-widgets jupyter-button widget-button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  function choose(columns) {
    model.set("chosen", columns);
    model.save_changes();
    drawChosen();
  }

  function draw() {
    group.replaceChildren(
      ...model.get("offered").map(([name, words]) => {
        const label = document.createElement("label");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.value = name;
        label.title = name;
        label.append(box, ` ${words}`);
        return label;
      }),
    );
    fold.hidden = !model.get("offered").length;
    drawChosen();
  }

  function drawChosen() {
    const there = (model.get("chosen") ?? []).filter((name) => names().includes(name));
    const chosen = there.length ? there : null; // of a table that has none of them, files hold the usual ones
    const wanted = new Set(chosen ?? model.get("usual"));
    for (const box of group.querySelectorAll("input")) box.checked = wanted.has(box.value);
    const count = ticked().length;
    const said = chosen ? `${count} of ${names().length}` : `the usual ${count}; CSV, Excel and JSON hold all`;
    summary.textContent = `Columns of the files: ${said}`;
    usual.disabled = !chosen;
  }

  group.addEventListener("change", (event) => {
    const left = ticked();
    const away = (model.get("chosen") ?? []).filter((name) => !names().includes(name)); // they may come back
    if (left.length) choose([...left, ...away]);
    else event.target.checked = true; // a table without columns is none
  });
  el.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // JupyterLab's command mode must not hear
  });
  model.on("change:offered change:usual", draw);
  model.on("change:chosen", drawChosen);
  draw();
  return () => {
    model.off("change:offered change:usual", draw);
    model.off("change:chosen", drawChosen);
  };
}

export default { render };
