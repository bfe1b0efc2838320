// A button that lets the panel around it fill the screen.

function render({ model, el }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "jupyter-widgets jupyter-button widget-button cbirlab-fill";
  const icon = document.createElement("i");
  icon.className = "fa fa-expand";
  button.append(icon);
  button.title = model.get("label");
  button.setAttribute("aria-label", button.title);
  const panel = () => el.closest(".cbirlab-panel");
  button.addEventListener("click", () => 
    (document.fullscreenElement ? document.exitFullscreen() : panel().requestFullscreen()).catch(() => (button.hidden = true)),
  ); // a frame may forbid it
  const tell = () => button.setAttribute("aria-pressed", String(document.fullscreenElement === panel()));
  document.addEventListener("fullscreenchange", tell);
  button.setAttribute("aria-pressed", "false");
  button.hidden = !document.fullscreenEnabled;
  el.append(button);
  return () => document.removeEventListener("fullscreenchange", tell);
}

export default { render };
