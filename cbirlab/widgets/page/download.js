// A download button: Python makes the file when it is clicked.
function render({ model, el }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "jupyter-widgets jupyter-button widget-button cbirlab-download";
  const draw = () => {
    button.textContent = model.get("description");
    button.title = model.get("tooltip");
    button.disabled = model.get("disabled");
  };
  const receive = (message, buffers) => {
    if (!message.file) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([buffers[0]], { type: message.mime }));
    link.download = message.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 4000);
  };
  button.addEventListener("click", () => model.send({ make: true }));
  model.on("msg:custom", receive);
  model.on("change", draw);
  el.append(button);
  draw();
  return () => {
    model.off("msg:custom", receive);
    model.off("change", draw);
  };
}

export default { render };
