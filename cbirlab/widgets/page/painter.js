// Painter: the map on a canvas. Points are drawn once into a bitmap larger than the window, and panning only moves it.

const MARGIN = 200; // pixels of the bitmap around the window: panned so far without drawing a point
const MANY = 1000; // so many points are stretched while they are zoomed, and drawn sharply when the wheel rests
const SHARPEN_MILLISECONDS = 90;
const MOST_SPRITES = 500;
const FAINT = 0.16;
const NUMBERED = 9; // results whose rank is written
const MARK_FONT = "600 12px sans-serif";

// Two colours 0xAABBGGRR, the second over the first with weight `part`; the first is opaque.
function mixed(under, over, part) {
  const red = (under & 255) + ((over & 255) - (under & 255)) * part;
  const green = ((under >> 8) & 255) + (((over >> 8) & 255) - ((under >> 8) & 255)) * part;
  const blue = ((under >> 16) & 255) + (((over >> 16) & 255) - ((under >> 16) & 255)) * part;
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// `scene` has what changes: members [[group, [points]]] of which group -1 is none, look(group, dark), groupOf(point),
// faint(point, group), places [[point on the map, name]] of groups, picture(point), highlight, current, cursor, hovered,
// lasso.
class Painter {
  constructor(canvas, plane, scene) {
    Object.assign(this, { canvas, plane, scene });
    this.pen = canvas.getContext("2d");
    this.bitmap = document.createElement("canvas");
    this.sprites = new Map();
    this.drawn = null; // where the plane stood when the bitmap was drawn
    this.theme = null;
    this.frame = 0;
    this.frames = 0;
    this.sharpening = 0;
    this.pictures = new Map(); // half the width and height of each picture that stands in the place of its point
  }

  // Paint marks and lasso anew, over points that stay.
  refresh() {
    this.frame ||= requestAnimationFrame(() => this.paint());
  }

  // Paint everything anew.
  repaint() {
    this.drawn = null;
    this.refresh();
  }

  zoomed() {
    clearTimeout(this.sharpening);
    this.sharpening = setTimeout(() => {
      this.sharpening = 0;
      this.refresh();
    }, SHARPEN_MILLISECONDS);
    this.refresh();
  }

  stop() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.sharpening);
  }

  look() {
    if (!this.theme) {
      const back = colourBehind(this.canvas);
      this.theme = { dark: isDark(back), back: `rgb(${back})`, ink: getComputedStyle(this.canvas).color };
    }
    return this.theme;
  }

  // Dots are cut once per group, size and screen.
  sprite(group, r) {
    const { dark, back } = this.look();
    const look = this.scene.look(group, dark);
    const name = [...look, r.toFixed(2), this.ratio, back].join();
    if (this.sprites.size > MOST_SPRITES) this.sprites.clear();
    if (!this.sprites.has(name)) this.sprites.set(name, dot(look, r, this.ratio, back));
    return this.sprites.get(name);
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  radius() {
    const { width, height, count, scale, fitting } = this.plane;
    const small = Math.min(4.5, Math.max(1.5, 0.16 * Math.sqrt((width * height) / Math.max(1, count))));
    return Math.min(7, small * (scale / fitting) ** 0.3);
  }

  // Pixel by pixel: a canvas takes ten times as long over 20,000 small pictures.
  drawPoints() {
    const { plane, bitmap, ratio, scene } = this;
    bitmap.width = Math.round((plane.width + 2 * MARGIN) * ratio);
    bitmap.height = Math.round((plane.height + 2 * MARGIN) * ratio);
    const image = new ImageData(bitmap.width, bitmap.height);
    const [red, green, blue] = this.look().back.match(/\d+/g).map(Number);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
    for (const faintly of [true, false]) {
      for (const [group, points] of scene.members) {
        const chosen = points.filter((i) => scene.faint(i, group) === faintly);
        if (chosen.length) this.stamp(pixels, this.sprite(group, this.radius()), chosen, faintly ? FAINT : 1);
      }
    }
    bitmap.getContext("2d").putImageData(image, 0, 0);
    this.drawn = { left: plane.left, top: plane.top, scale: plane.scale, ratio };
  }

  stamp(pixels, sprite, points, strength) {
    const { plane, ratio, bitmap } = this;
    const side = sprite.width;
    const own = (sprite.pixels ??= sprite.getContext("2d").getImageData(0, 0, side, side).data);
    const ink = new Uint32Array(own.buffer);
    const shift = MARGIN * ratio - side / 2;
    for (const i of points) {
      const x = Math.round(plane.x(i) * ratio + shift);
      const y = Math.round(plane.y(i) * ratio + shift);
      if (x < 0 || y < 0 || x + side > bitmap.width || y + side > bitmap.height) continue;
      for (let at = 0, row = 0; row < side; row++) {
        for (let to = (y + row) * bitmap.width + x, end = to + side; to < end; to++, at++) {
          const alpha = own[4 * at + 3] * strength;
          if (alpha === 255) pixels[to] = ink[at];
          else if (alpha) pixels[to] = mixed(pixels[to], ink[at], alpha / 255);
        }
      }
    }
  }

  bitmapServes() {
    const { drawn, plane } = this;
    if (!drawn || drawn.ratio !== this.ratio) return false;
    if (drawn.scale !== plane.scale) return plane.count > MANY && this.sharpening !== 0;
    return Math.abs(plane.left - drawn.left) <= MARGIN && Math.abs(plane.top - drawn.top) <= MARGIN;
  }

  paint() {
    this.frame = 0;
    const { plane, canvas, pen, ratio, bitmap } = this;
    if (plane.width < 2) return;
    const [width, height] = [Math.round(plane.width * ratio), Math.round(plane.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!this.bitmapServes()) this.drawPoints();
    const stretch = plane.scale / this.drawn.scale;
    const left = plane.left - (this.drawn.left + MARGIN) * stretch;
    const top = plane.top - (this.drawn.top + MARGIN) * stretch;
    const size = stretch === 1 ? [] : [bitmap.width * stretch, bitmap.height * stretch];
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.drawImage(bitmap, Math.round(left * ratio), Math.round(top * ratio), ...size);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pictures = paintPictures(pen, plane, this.scene, this.look());
    this.paintMarks();
    paintPlaces(this);
    if (this.scene.lasso) this.paintLasso();
    this.frames += 1;
  }

  // Results, the worst first so that the best lie on top: larger, ringed, the first ones with their rank.
  paintMarks() {
    const { plane, scene } = this;
    const r = this.radius();
    const known = (i) => i >= 0 && i < plane.count;
    this.written = [];
    for (let rank = scene.highlight.length; rank > 0; rank--) {
      const i = scene.highlight[rank - 1];
      if (!known(i)) continue;
      const large = this.sprite(scene.groupOf(i), 1.3 * r + 1);
      const side = large.width / this.ratio;
      if (!this.pictures.has(i)) this.pen.drawImage(large, plane.x(i) - side / 2, plane.y(i) - side / 2, side, side);
      this.ring(i, 1.6 * r + 3, 1.6);
    }
    if (known(scene.current)) {
      this.ring(scene.current, 1.6 * r + 4, 2.4);
      this.ring(scene.current, 1.6 * r + 9, 1.4);
      this.write("query", scene.current, 1.6 * r + 12, 4);
    }
    scene.highlight.slice(0, NUMBERED).forEach((i, place) => {
      if (known(i)) this.write(String(place + 1), i, 1.6 * r + 5, -r);
    });
    if (known(scene.cursor)) this.ring(scene.cursor, 1.6 * r + 7, 2, [2, 3]);
    if (known(scene.hovered)) this.ring(scene.hovered, 1.6 * r + 5, 2.2, [6, 3]);
  }

  // Around a point, or around the picture that stands in its place.
  ring(i, r, width, dashes = []) {
    const { pen, plane } = this;
    const { back, ink } = this.look();
    const [x, y] = [plane.x(i), plane.y(i)];
    const picture = this.pictures.get(i)?.map((half) => half + r - 1.6 * this.radius());
    for (const [colour, wide, pattern] of [[back, width + 2.5, []], [ink, width, dashes]]) {
      pen.beginPath();
      if (picture) pen.rect(x - picture[0], y - picture[1], 2 * picture[0], 2 * picture[1]);
      else pen.arc(x, y, r, 0, 2 * Math.PI);
      pen.setLineDash(pattern);
      pen.lineWidth = wide;
      pen.strokeStyle = colour;
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  // Beside a point: on its right, or on its left where there is no room; not across what was written before.
  write(text, i, aside, below) {
    const { pen, plane } = this;
    pen.font = MARK_FONT;
    const wide = pen.measureText(text).width;
    const beyond = aside + (this.pictures.get(i)?.[0] ?? 0);
    const right = plane.x(i) + beyond;
    this.writeAt(text, right + wide > plane.width ? plane.x(i) - beyond - wide : right, plane.y(i) + below, wide);
  }

  writeAt(text, x, y, wide) {
    const { pen } = this;
    const { back, ink } = this.look();
    if (!this.reserve(x, y, wide)) return;
    pen.lineWidth = 3.5;
    pen.lineJoin = "round";
    pen.strokeStyle = back;
    pen.strokeText(text, x, y);
    pen.fillStyle = ink;
    pen.fillText(text, x, y);
  }

  // Whether nothing is written there yet; then it is taken.
  reserve(x, y, wide) {
    const over = (other) => x < other.x + other.wide && other.x < x + wide && Math.abs(y - other.y) < 14;
    if (this.written.some(over)) return false;
    this.written.push({ x, y, wide });
    return true;
  }

  paintLasso() {
    const { pen } = this;
    pen.beginPath();
    this.scene.lasso.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x, y));
    pen.closePath();
    pen.fillStyle = pen.strokeStyle = this.look().ink;
    pen.globalAlpha = 0.12;
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 3]);
    pen.stroke();
    pen.setLineDash([]);
  }
}
