// Plane: points seen through a window. Fitting, panning, zooming, and which point lies where; no drawing.

const EDGE = 28; // pixels between the outermost points and the frame: room for their rings and numbers
const WIDE_EDGE = 46; // the same around points that are shown as pictures
const CLOSEST = 300; // times the scale at which all points fit
const TURNS = 36; // of 5 degrees, to half a circle: a box looks the same from behind
const MOST_STRETCH = 1.5;

class Plane {
  constructor() {
    this.given = this.xy = new Float32Array(0);
    this.count = 0;
    this.free = false;
    this.width = this.height = 1;
    this.fit();
  }

  // Pairs of float32; the second coordinate points up, as in a plot. Where only neighbourhoods mean something, the map is
  // `free`: it is turned, and stretched a little, so that it fills its frame.
  load(view, free = false) {
    this.given = this.xy = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    this.count = this.xy.length / 2;
    this.free = free;
    this.frame = 0;
    this.fit();
  }

  // Turn and stretch a free map for the present frame, anew only where the frame has become another one.
  settle() {
    const frame = this.width / this.height;
    if (!this.free || this.count < 3 || this.width < 2 || Math.abs(Math.log(frame / this.frame)) < 0.15) return;
    this.frame = frame;
    let best = 0;
    for (let turn = 0; turn < TURNS; turn++) {
      const xy = this.turned((turn * Math.PI) / TURNS);
      const [west, south, east, north] = this.bounds(xy);
      const [wide, high] = [east - west || 1, north - south || 1];
      const stretch = Math.min(MOST_STRETCH, Math.max(1 / MOST_STRETCH, (frame * high) / wide));
      const filled = Math.min(frame / (wide * stretch), 1 / high) ** 2 * wide * stretch * high;
      if (filled <= 1.02 * best) continue; // turned only where that helps
      best = filled;
      for (let i = 0; i < this.count; i++) xy[2 * i] *= stretch;
      this.xy = xy;
    }
  }

  turned(angle) {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const xy = new Float32Array(this.given.length);
    for (let i = 0; i < xy.length; i += 2) {
      xy[i] = this.given[i] * c - this.given[i + 1] * s;
      xy[i + 1] = this.given[i] * s + this.given[i + 1] * c;
    }
    return xy;
  }

  resize(width, height) {
    const atFit = this.scale === this.fitting;
    this.left += (width - this.width) / 2;
    this.top += (height - this.height) / 2;
    this.width = width;
    this.height = height;
    if (atFit) this.fit();
    else this.fitting = this.scaleThatFits();
  }

  bounds(xy = this.xy) {
    let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < this.count; i++) {
      const x = xy[2 * i];
      const y = xy[2 * i + 1];
      if (x < west) west = x;
      if (x > east) east = x;
      if (y < south) south = y;
      if (y > north) north = y;
    }
    return this.count ? [west, south, east, north] : [0, 0, 1, 1];
  }

  scaleThatFits() {
    const [west, south, east, north] = this.bounds();
    const edge = this.count > FEW ? EDGE : WIDE_EDGE;
    const across = Math.max(1, this.width - 2 * edge) / (east - west || 1);
    const down = Math.max(1, this.height - 2 * edge) / (north - south || 1);
    return Math.min(across, down);
  }

  fit() {
    this.settle();
    const [west, south, east, north] = this.bounds();
    this.fitting = this.scale = this.scaleThatFits();
    this.left = this.width / 2 - (this.scale * (west + east)) / 2;
    this.top = this.height / 2 + (this.scale * (south + north)) / 2;
  }

  x(i) {
    return this.xy[2 * i] * this.scale + this.left;
  }

  y(i) {
    return this.top - this.xy[2 * i + 1] * this.scale;
  }

  pan(across, down) {
    this.left += across;
    this.top += down;
  }

  // The place (x, y) of the window stays where it is.
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(CLOSEST * this.fitting, Math.max(this.fitting / 2, this.scale * factor));
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
  }

  get fits() {
    return this.scale <= this.fitting * 1.001;
  }

  // Points inside the frame, as far as they are `wanted`; null if there are more than `most`.
  inView(most, wanted) {
    const found = [];
    for (let i = 0; i < this.count; i++) {
      const x = this.x(i);
      const y = this.y(i);
      if (x < 0 || y < 0 || x > this.width || y > this.height || !wanted(i)) continue;
      if (found.length === most) return null;
      found.push(i);
    }
    return found;
  }

  // Move just so far that point i is inside the frame.
  reveal(i) {
    const x = this.x(i);
    const y = this.y(i);
    this.pan(
      Math.min(Math.max(x, EDGE), this.width - EDGE) - x,
      Math.min(Math.max(y, EDGE), this.height - EDGE) - y,
    );
  }

  nearest(x, y, reach = Infinity) {
    let found = -1;
    let best = reach * reach;
    for (let i = 0; i < this.count; i++) {
      const across = this.x(i) - x;
      const down = this.y(i) - y;
      const squared = across * across + down * down;
      if (squared <= best) {
        best = squared;
        found = i;
      }
    }
    return found;
  }

  around(x, y, reach) {
    const near = [];
    for (let i = 0; i < this.count; i++) {
      const distance = Math.hypot(this.x(i) - x, this.y(i) - y);
      if (distance <= reach) near.push([distance, i]);
    }
    return near.sort((a, b) => a[0] - b[0]).map(([, i]) => i);
  }

  // From point `from`, the next one in a direction: near, and rather ahead than aside; -1 where none is ahead.
  towards(from, across, down) {
    let found = -1;
    let best = Infinity;
    for (let i = 0; i < this.count; i++) {
      const dx = this.x(i) - this.x(from);
      const dy = this.y(i) - this.y(from);
      const ahead = dx * across + dy * down;
      const aside = Math.abs(dx * down) + Math.abs(dy * across);
      if (i === from || ahead <= 0.01 || aside > ahead) continue;
      if (ahead + 2 * aside < best) {
        best = ahead + 2 * aside;
        found = i;
      }
    }
    return found;
  }

  // Points inside a polygon [[x, y], ...], by the even-odd rule.
  inside(polygon) {
    const found = [];
    for (let i = 0; i < this.count; i++) {
      const x = this.x(i);
      const y = this.y(i);
      let odd = false;
      for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
        const [ax, ay] = polygon[a];
        const [bx, by] = polygon[b];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
      }
      if (odd) found.push(i);
    }
    return found;
  }
}
