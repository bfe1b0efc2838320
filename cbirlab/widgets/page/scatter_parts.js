// The elements of a scatter: title and tools, canvas with its tip, legend, and what screen readers hear.

const HINT = "Drag pans. The wheel zooms where the pointer rests, once it has moved on the map. Shift and drag draws a "
  + "lasso. Arrow keys go to the nearest picture in their direction, Enter picks it, plus and minus zoom, 0 fits, Escape clears.";

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

// A button for each of `items` {name, groups, count} that keeps its groups; `swatch(group)` gives a canvas.
function fillLegend(legend, items, swatch, kept, choose) {
  const focused = [...legend.children].indexOf(document.activeElement);
  legend.replaceChildren();
  items.forEach(({ name, groups, count }) => {
    const pressed = groups.length > 0 && groups.every((one) => kept.has(one));
    const item = make("button", "cbirlab-legend-item cbirlab-scatter-tool", legend);
    item.type = "button";
    item.title = pressed ? `No longer keep ${name}` : `Keep ${name}: ${count}`;
    item.setAttribute("aria-pressed", String(pressed));
    const dot = swatch(groups[0]);
    const own = make("canvas", "", item); // a sprite is shared by all items that look like it
    Object.assign(own, { width: dot.width, height: dot.height });
    own.getContext("2d").drawImage(dot, 0, 0);
    own.style.width = `${dot.width / (window.devicePixelRatio || 1)}px`;
    make("span", "cbirlab-chip-name", item).textContent = name;
    make("span", "cbirlab-chip-count", item).textContent = count;
    item.addEventListener("click", () => choose(groups));
  });
  legend.children[focused]?.focus();
}

// The colours of numbers from the lowest to the highest.
function fillScale(legend, [low, high], background) {
  legend.replaceChildren();
  make("span", "", legend).textContent = low;
  make("span", "cbirlab-scale", legend).style.background = background;
  make("span", "", legend).textContent = high;
}
