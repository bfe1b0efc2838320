// The table of pinned settings: Python writes it; a button in each row asks Python to take the row out.
const ANSWERED = 3000; // milliseconds

function render({ model, el }) {
  el.classList.add("cbirlab-pinned");
  const table = document.createElement("div");
  const live = document.createElement("div");
  live.className = "cbirlab-live";
  live.setAttribute("aria-live", "polite");
  el.append(table, live);
  let removed = -1; // place of the button that was pressed, until Python has answered

  const buttons = () => [...table.querySelectorAll("button")];
  function draw() {
    table.innerHTML = model.get("value");
    if (removed < 0) return;
    const left = buttons();
    const next = left[Math.min(removed, left.length - 1)] ?? el.parentElement?.querySelector("button:enabled");
    next?.focus({ preventScroll: true });
    removed = -1;
  }
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || removed >= 0) return; // a second click would meet the row that comes next
    removed = buttons().indexOf(button);
    live.textContent = button.getAttribute("aria-label").replace("remove", "removed");
    model.send({ remove: removed });
    setTimeout(() => (removed = -1), ANSWERED); // Python has refused, or does not answer
  });
  table.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // JupyterLab's command mode must not hear
  });
  model.on("change:value", draw);
  draw();
  return () => model.off("change:value", draw);
}

export default { render };
