// What galleries and maps share: the page's pictures by id, who is told of them, and keys that JupyterLab must not hear.
// This text stands before each of their scripts.

const KEEP_MILLISECONDS = 60_000; // pictures outlive their last view for this long (a cell that is run again)

// One store per collection of thumbnails, shared by all galleries and maps of the page. `views` are told of new pictures,
// `hovers` of the picture under the pointer or the focus in any of them: hover(id or null, from).
function openStore(name) {
  const stores = (globalThis.__cbirlabThumbnails ??= new Map());
  if (!stores.has(name)) stores.set(name, { urls: new Map(), loaded: new Map(), views: new Set(), hovers: new Set() });
  const store = stores.get(name);
  store.add = (id, jpeg) => {
    if (store.urls.has(id)) return;
    const image = new Image(); // held, so that the browser has the bytes at hand when a tile names them
    image.src = URL.createObjectURL(new Blob([jpeg], { type: "image/jpeg" }));
    store.urls.set(id, image.src);
    store.loaded.set(id, image);
  };
  store.receive = (message, buffers) => {
    if (!message.thumbnails) return;
    message.thumbnails.forEach((id, position) => store.add(id, buffers[position]));
    store.views.forEach((refresh) => refresh());
  };
  store.hover = (id, from) => store.hovers.forEach((tell) => tell(id, from));
  store.leave = (view, tell) => {
    store.views.delete(view);
    store.hovers.delete(tell);
    setTimeout(() => {
      if (store.views.size || stores.get(name) !== store) return;
      store.urls.forEach((url) => URL.revokeObjectURL(url));
      stores.delete(name);
    }, KEEP_MILLISECONDS);
  };
  return store;
}

// JupyterLab's command-mode keys (x cuts the cell, d d deletes it) act while a button inside an output has the focus.
// Plain keys end here; Tab, Escape and every combination with a modifier still reach JupyterLab.
function keepKeys(element) {
  if (element.dataset.keepsKeys) return;
  element.dataset.keepsKeys = "yes";
  element.addEventListener("keydown", (event) => {
    const combined = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
    if (!combined && event.key !== "Tab" && event.key !== "Escape") event.stopPropagation();
  });
}

// ipywidgets gives the handles of its sliders no name: each takes the words that stand before it.
function nameSliders(panel) {
  if (panel.dataset.namesSliders) return;
  panel.dataset.namesSliders = "yes";
  const name = () => {
    for (const handle of panel.querySelectorAll(".noUi-handle:not([aria-label])")) {
      const label = handle.closest(".widget-inline-hbox")?.querySelector(".widget-label")?.textContent;
      if (label) handle.setAttribute("aria-label", label);
    }
  };
  name();
  new MutationObserver(name).observe(panel, { childList: true, subtree: true });
}

function whenAttached(element, action, tries = 120) {
  if (element.isConnected) action();
  else if (tries) requestAnimationFrame(() => whenAttached(element, action, tries - 1));
}

function make(tag, className, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  parent?.append(element);
  return element;
}
