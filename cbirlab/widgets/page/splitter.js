// A line between two panes that makes one of them wider or narrower; the browser keeps the width.
const STEP = 16; // pixels of an arrow key

function render({ model, el }) {
  const key = `cbirlab-width-${model.get("pane")}`;
  const least = model.get("least");
  const first = model.get("first"); // whether the pane stands before the line
  el.classList.add("cbirlab-splitter");
  el.tabIndex = 0;
  el.title = `${model.get("label")} (double click: as usual)`;
  el.setAttribute("role", "separator");
  el.setAttribute("aria-orientation", "vertical");
  el.setAttribute("aria-label", model.get("label"));
  el.setAttribute("aria-valuemin", String(least));
  let usual = null; // what Python gave the pane

  const pane = () => (first ? el.previousElementSibling : el.nextElementSibling);
  const width = () => Math.round(pane().getBoundingClientRect().width);

  function most() {
    const others = [...el.parentElement.children].filter((one) => one !== pane() && one.offsetWidth && !isLine(one));
    const taken = others.reduce((sum, one) => sum + (parseFloat(getComputedStyle(one).flexBasis) || one.offsetWidth), 0);
    return Math.max(least, Math.floor(el.parentElement.clientWidth - taken) - 1); // wider, and the panes would wrap
  }
  const isLine = (one) => one.classList.contains("cbirlab-splitter");

  function remember(value) {
    try {
      if (value) localStorage.setItem(key, String(value));
      else localStorage.removeItem(key);
    } catch {} // a page without storage forgets it
  }
  function remembered() {
    try {
      return Number(localStorage.getItem(key)) || 0;
    } catch {
      return 0;
    }
  }

  function set(value, keep = true) {
    usual ??= pane().style.flex;
    const wanted = Math.round(Math.min(most(), Math.max(least, value)));
    pane().style.flex = `0 0 ${wanted}px`;
    if (keep) remember(wanted);
    say();
  }
  function reset() {
    if (usual !== null) pane().style.flex = usual;
    usual = null;
    remember(0);
    say();
  }
  function say() {
    if (!pane()) return;
    const beside = first ? el.nextElementSibling : el.previousElementSibling;
    const shown = pane().offsetWidth && beside?.offsetWidth;
    el.hidden = !shown || pane().offsetTop >= beside.offsetTop + beside.offsetHeight || beside.offsetTop >= pane().offsetTop + pane().offsetHeight;
    el.setAttribute("aria-valuenow", String(width()));
    el.setAttribute("aria-valuemax", String(most()));
  }

  el.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    el.focus();
    const [start, from] = [width(), event.clientX];
    const move = (moved) => set(start + (first ? 1 : -1) * (moved.clientX - from));
    el.setPointerCapture(event.pointerId);
    el.addEventListener("pointermove", move);
    el.addEventListener("lostpointercapture", () => el.removeEventListener("pointermove", move), { once: true });
  });
  el.addEventListener("dblclick", reset);
  const steps = { ArrowRight: STEP, ArrowLeft: -STEP };
  el.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== "Tab" && event.key !== "Escape") event.stopPropagation(); // JupyterLab's command mode must not hear
    if (event.key === "Enter") reset();
    else if (event.key in steps) set(width() + (first ? 1 : -1) * steps[event.key]);
    else return;
    event.preventDefault();
  });

  const watch = new ResizeObserver(() => {
    if (usual !== null && pane() && width() > most()) set(most(), false); // the window has shrunk
    else say();
  });
  const begin = requestAnimationFrame(() => {
    if (!el.parentElement || !pane()) return;
    if (remembered()) set(remembered(), false);
    for (const one of [el.parentElement, ...el.parentElement.children]) if (one !== el) watch.observe(one);
    say();
  });
  return () => {
    cancelAnimationFrame(begin);
    watch.disconnect();
  };
}

export default { render };
