// What a page holds: arrays packed by packing.py, all texts as JSON in one of them, and thumbnails one after the other.

function bytesOf(id) {
  const element = document.getElementById(id);
  const text = element.textContent;
  element.remove(); // millions of characters are needed only once
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const decoded = atob(text);
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < decoded.length; i++) bytes[i] = decoded.charCodeAt(i);
  return bytes;
}

async function openData() {
  const layout = JSON.parse(document.getElementById("layout").textContent);
  const stream = new Blob([bytesOf("arrays")]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const buffer = await new Response(stream).arrayBuffer();
  const arrays = {};
  const kinds = { Uint8Array, Uint16Array, Int16Array, Uint32Array, Int32Array, Float32Array };
  for (const [name, { type, at, length }] of Object.entries(layout)) arrays[name] = new kinds[type](buffer, at, length);
  const texts = JSON.parse(new TextDecoder().decode(arrays.texts));
  return new Data(texts, arrays, layout, bytesOf("thumbnails"));
}

class Data {
  constructor(texts, arrays, layout, jpegs) {
    Object.assign(this, { texts, arrays, jpegs });
    [this.questions, this.settings, this.shown] = layout.rows.shape;
    this.points = layout.maps.shape[1];
    this.place = new Map([...arrays.pictures].map((id, place) => [id, place]));
  }

  jpeg(id) {
    const place = this.place.get(id);
    const { ends } = this.arrays;
    return this.jpegs.subarray(ends[place], ends[place + 1]);
  }

  // The answer of a setting to a question: rows and scores, best first.
  list(question, setting) {
    const { rows, scores, counts } = this.arrays;
    const list = question * this.settings + setting;
    const [from, to] = [list * this.shown, list * this.shown + counts[list]];
    return { rows: [...rows.subarray(from, to)], scores: Array.from(scores.subarray(from, to), (one) => one / 1000) };
  }

  // The setting that positions of the controls come to; -1 where there is none.
  setting(positions) {
    const { numbers, shape } = this.texts;
    if (positions.some((place) => place < 0)) return -1;
    return numbers[shape.reduce((place, count, axis) => place * count + positions[axis], 0)];
  }

  // Where a setting's controls stand: the first positions that come to it.
  positions(setting) {
    const { numbers, shape } = this.texts;
    let place = numbers.indexOf(setting);
    return shape.toReversed().map((count) => {
      const here = place % count;
      place = (place - here) / count;
      return here;
    }).toReversed();
  }

  // Average precision of every query at one level.
  ap(level, setting) {
    return this.arrays.ap.subarray(...[0, 1].map((end) => (level * this.settings + setting + end) * this.questions));
  }

  // Points of a map as pairs of float32, as a scatter takes them.
  map(number) {
    const grid = this.arrays.maps.subarray(2 * number * this.points, 2 * (number + 1) * this.points);
    return new DataView(Float32Array.from(grid).buffer);
  }

  mark(question, row) {
    const { kinds, other } = this.texts.questions[question];
    for (const [name, rows] of Object.entries(kinds)) if (rows.includes(row)) return name;
    return other;
  }
}
