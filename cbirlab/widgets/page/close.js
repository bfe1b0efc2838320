// Close: what a map has room for. Names of groups where their points are; pictures in place of points where few are seen.

const FEW = 60; // points in the frame, at most, that are shown as pictures
const COMPACT = 0.5; // of the reach of all points: a group that reaches farther lies nowhere
const SIDES = [34, 76]; // pixels of a picture's long side, at least and at most
const PLACE_FONT = "11px sans-serif";
const MOST_LETTERS = 28;

const middle = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

// The point in the middle of each group that lies somewhere, the largest group first: [[the point's number, name]].
function placesOf(plane, members, names) {
  const around = (points) => {
    const [x, y] = [0, 1].map((axis) => middle(Float32Array.from(points, (i) => plane.xy[2 * i + axis])));
    const away = (i) => Math.hypot(plane.xy[2 * i] - x, plane.xy[2 * i + 1] - y);
    const nearest = points.reduce((best, i) => (away(i) < away(best) ? i : best), points[0]);
    return [nearest, middle(Float32Array.from(points, away))];
  };
  const named = members.filter(([group, points]) => group >= 0 && points.length > 1);
  if (named.length < 2) return [];
  const reach = COMPACT * around([...Array(plane.count).keys()])[1];
  return named
    .sort((one, other) => other[1].length - one[1].length)
    .map(([group, points]) => [group, ...around(points)])
    .filter(([, , far]) => far <= reach)
    .map(([group, point]) => [point, names[group]]);
}

// Names stand on plates above the middle of their groups, as far as there is room: marks were written before them.
function paintPlaces(painter) {
  const { pen, plane, scene } = painter;
  const { back, ink, dark } = painter.look();
  pen.font = PLACE_FONT;
  pen.lineWidth = 1;
  for (const [point, name] of scene.places) {
    if (scene.faint(point, scene.groupOf(point))) continue;
    const text = name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS - 1)}…` : name;
    const wide = Math.ceil(pen.measureText(text).width) + 8;
    const left = Math.round(plane.x(point) - wide / 2);
    const top = Math.round(plane.y(point) - 22 - (painter.pictures.get(point)?.[1] ?? 0));
    if (top < 0 || top + 15 > plane.height || left < 0 || left + wide > plane.width) continue;
    if (!painter.reserve(left, top + 12, wide)) continue;
    pen.globalAlpha = 0.85;
    pen.fillStyle = back;
    pen.fillRect(left, top, wide, 15);
    pen.globalAlpha = 1;
    pen.strokeStyle = scene.look(scene.groupOf(point), dark)[0];
    pen.strokeRect(left + 0.5, top + 0.5, wide - 1, 15);
    pen.fillStyle = ink;
    pen.fillText(text, left + 4, top + 12);
  }
}

// Pictures in place of their points where few are seen, results first, as far as they do not hide each other; gives half
// the width and height of each. A picture that is not here yet is asked for and comes with a later frame.
function paintPictures(pen, plane, scene, { dark, back }) {
  const shown = new Map();
  const seen = plane.inView(FEW, (i) => !scene.faint(i, scene.groupOf(i)));
  if (!seen?.length) return shown;
  const side = Math.min(SIDES[1], Math.max(SIDES[0], 0.5 * Math.sqrt((plane.width * plane.height) / seen.length)));
  const rank = new Map([scene.current, ...scene.highlight].map((id, place) => [id, place]));
  const behind = (i) => rank.get(i) ?? Infinity;
  for (const i of seen.sort((a, b) => behind(a) - behind(b) || a - b)) {
    const [x, y] = [plane.x(i), plane.y(i)];
    const hidden = (j) => Math.abs(plane.x(j) - x) < 0.8 * side && Math.abs(plane.y(j) - y) < 0.7 * side;
    if ([...shown.keys()].some(hidden)) continue;
    const image = scene.picture(i);
    if (!image) continue;
    const scale = side / Math.max(image.naturalWidth, image.naturalHeight);
    const [wide, high] = [image.naturalWidth * scale, image.naturalHeight * scale];
    shown.set(i, [wide / 2 + 2, high / 2 + 2]);
  }
  for (const [i, [wide, high]] of [...shown].reverse()) {
    const [left, top] = [plane.x(i) - wide, plane.y(i) - high];
    pen.fillStyle = back;
    pen.fillRect(left - 1, top - 1, 2 * wide + 2, 2 * high + 2);
    pen.fillStyle = scene.look(scene.groupOf(i), dark)[0];
    pen.fillRect(left, top, 2 * wide, 2 * high);
    pen.drawImage(scene.picture(i), left + 2, top + 2, 2 * wide - 4, 2 * high - 4);
  }
  return shown;
}
