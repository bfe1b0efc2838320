// Dots: what points look like. Each group has a colour and a shape of its own; the next group differs in both.

// Okabe and Ito's colours, moved a little where they would vanish on white or on black.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#3f9fd8", "#7b4fa3", "#882255"],
  dark: ["#5ab0f0", "#ff8a3d", "#2fd6a5", "#ec9fcb", "#f0e442", "#9adcff", "#c39bff", "#f0698f"],
};
// Viridis from low to high, without the end that would vanish on the page; colour-blind eyes see it too.
const SCALE = {
  light: ["#440154", "#443983", "#31688e", "#21918c", "#35a268", "#8ab81d"],
  dark: ["#6f5fc4", "#4f86c6", "#2fa3a0", "#35b779", "#90d743", "#fde725"],
};
// What has no group, and groups that have no colour of their own.
const GREYS = { light: ["#b4b4b4", "#868686"], dark: ["#6a6a6a", "#a9a9a9"] };
const SHAPES = ["circle", "square", "triangle", "diamond", "plus", "wedge", "cross"]; // 7 shapes, 8 colours: 56 pairs

// [colour, shape, size] of a group by its place in the palette; -1 for a group that has none there.
function lookOfPlace(place, dark) {
  const theme = dark ? "dark" : "light";
  if (place < 0) return [GREYS[theme][1], "circle", 0.8];
  const colours = COLOURS[theme];
  return [colours[place % colours.length], SHAPES[place % SHAPES.length], 1];
}

// The same of a number, as a share of the way from the lowest to the highest.
function lookOfShare(share, dark) {
  const stops = SCALE[dark ? "dark" : "light"].map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  const at = share * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  return [`rgb(${stops[low].map((one, i) => Math.round(one + (stops[low + 1][i] - one) * (at - low)))})`, "circle", 1];
}

const lookOfNone = (dark) => [GREYS[dark ? "dark" : "light"][0], "circle", 0.65];

// The scale as a background of CSS.
const gradient = (dark) => `linear-gradient(to right, ${SCALE[dark ? "dark" : "light"].join(", ")})`;

function trace(pen, shape, x, y, r) {
  const polygon = (...corners) => {
    corners.forEach(([across, down], i) => pen[i ? "lineTo" : "moveTo"](x + across * r, y + down * r));
    pen.closePath();
  };
  const arms = (turn) => {
    const [wide, thin] = [1.15, 0.42];
    const corners = [[-thin, -wide], [thin, -wide], [thin, -thin], [wide, -thin], [wide, thin], [thin, thin]];
    const all = [...corners, ...corners.map(([across, down]) => [-across, -down])];
    const [c, s] = [Math.cos(turn), Math.sin(turn)];
    polygon(...all.map(([across, down]) => [across * c - down * s, across * s + down * c]));
  };
  pen.beginPath();
  if (shape === "circle") pen.arc(x, y, r, 0, 2 * Math.PI);
  if (shape === "square") polygon([-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]);
  if (shape === "triangle") polygon([0, -1.2], [1.1, 0.8], [-1.1, 0.8]);
  if (shape === "wedge") polygon([0, 1.2], [1.1, -0.8], [-1.1, -0.8]);
  if (shape === "diamond") polygon([0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]);
  if (shape === "plus") arms(0);
  if (shape === "cross") arms(Math.PI / 4);
}

// A dot as a small canvas, its centre in the middle; `ratio` device pixels per CSS pixel.
function dot([colour, shape, size], r, ratio, halo) {
  const canvas = document.createElement("canvas");
  const side = 2 * Math.ceil((1.4 * r + 1.5) * ratio);
  canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  trace(pen, shape, side / 2, side / 2, size * r * ratio);
  pen.lineWidth = 1.2 * ratio;
  pen.strokeStyle = halo; // neighbours that overlap stay apart
  pen.lineJoin = "round";
  pen.stroke();
  pen.fillStyle = colour;
  pen.fill();
  return canvas;
}

// The colour behind an element, whoever painted it: themes of JupyterLab, VS Code, Colab and Voila differ in names only.
function colourBehind(element) {
  for (let at = element; at; at = at.parentElement) {
    const [red, green, blue, alpha] = getComputedStyle(at).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (red !== undefined && (alpha ?? 1) > 0.5) return [red, green, blue];
  }
  return [255, 255, 255];
}

function isDark([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}
