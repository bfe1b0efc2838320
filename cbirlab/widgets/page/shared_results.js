// What a gallery shows of a list, as results.py makes it of a ranking.

const NOT_RIGHT = ["", "wrong", "junk"];

// The first results, of those that are chosen if there are any, with their places from 1 in the whole list.
function firstOf({ rows, scores }, only, shown) {
  const every = rows.map((_, at) => at).filter((at) => !only.size || only.has(rows[at]));
  const first = every.slice(0, shown);
  return { rows: first.map((at) => rows[at]), scores: first.map((at) => scores[at]), places: first.map((at) => at + 1) };
}

// -1 stands for no image at all.
const countRows = (only) => only.size - only.has(-1);

function galleryLook(data, question, list, { rows, scores, places }, only) {
  const { words, legend, right: rightly } = data.texts.questions[question];
  const kinds = rows.map((row) => data.mark(question, row));
  const right = kinds.filter((kind) => !NOT_RIGHT.includes(kind)).length;
  const selected = only.size ? ` of ${countRows(only)} selected` : "";
  const judged = kinds.some(Boolean) ? `, ${right} ${rightly}` : "; no ground truth for this question";
  const marked = rows.length ? judged : "";
  const title = list.rows.length
    ? `${words}: first ${rows.length} results${selected}${marked}`
    : `${words}: no results, because the picture has no descriptor`;
  const captions = places.map((place, at) => `${place}  ·  ${scores[at].toFixed(3)}`);
  return { title, captions, legend, ids: rows, kinds, names: rows.map((row) => data.texts.files[row]) };
}
