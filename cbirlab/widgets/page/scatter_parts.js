// The elements of a scatter: title and tools, canvas with its tip, legend, and what screen readers hear.

const NAMED_GROUPS = 24; // more groups than this are named on hover only
const HINT = "Drag pans. Click to focus, then the wheel zooms (at any time with Ctrl). Shift and drag draws a lasso. "
  + "Arrow keys go to the nearest picture in their direction, Enter picks it, plus and minus zoom, 0 fits, Escape clears.";

function scatterParts(el, act) {
  el.classList.add("cbirlab-scatter");
  const bar = make("div", "cbirlab-scatter-bar", el);
  const title = make("div", "cbirlab-title", bar);
  const tool = (text, label, onClick) => {
    const button = make("button", "cbirlab-scatter-tool", bar);
    Object.assign(button, { type: "button", textContent: text, title: label });
    button.setAttribute("aria-label", label);
    button.addEventListener("click", onClick);
    return button;
  };
  const lassoTool = tool("Lasso", "Draw a lasso (or hold Shift and drag)", act.arm);
  const clearTool = tool("Clear", "Clear the selection", act.clear);
  tool("+", "Zoom in", () => act.zoom(1.5));
  tool("−", "Zoom out", () => act.zoom(1 / 1.5));
  tool("Fit", "Fit: show the whole map", act.fit);
  const stage = make("div", "cbirlab-scatter-stage", el);
  const canvas = make("canvas", "", stage);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "map of pictures");
  const tip = make("div", "cbirlab-tip", stage);
  tip.hidden = true;
  const [tipImage, tipText] = [make("img", "", tip), make("span", "", tip)];
  tipImage.alt = ""; // the text beside it names the picture
  const legend = make("div", "cbirlab-legend", el);
  const live = make("div", "cbirlab-live", el);
  live.setAttribute("aria-live", "polite");
  const help = make("div", "cbirlab-live", el);
  help.id = `cbirlab-help-${Math.random().toString(36).slice(2)}`;
  help.textContent = HINT;
  canvas.setAttribute("aria-describedby", help.id);
  return { title, lassoTool, clearTool, stage, canvas, tip, tipImage, tipText, legend, live };
}

// A button per group with its dot; `swatch(group)` gives a canvas.
function fillLegend(legend, names, swatch, kept, choose) {
  legend.replaceChildren();
  if (names.length > NAMED_GROUPS) {
    make("span", "", legend).textContent = `${names.length} groups; hover names them`;
    return;
  }
  names.forEach((name, group) => {
    const item = make("button", "cbirlab-legend-item cbirlab-scatter-tool", legend);
    item.type = "button";
    item.title = `Single out ${name}`;
    item.setAttribute("aria-pressed", String(group === kept));
    const dot = swatch(group);
    dot.style.width = `${dot.width / (window.devicePixelRatio || 1)}px`;
    item.append(dot);
    make("span", "", item).textContent = name;
    item.addEventListener("click", () => choose(group));
  });
}
