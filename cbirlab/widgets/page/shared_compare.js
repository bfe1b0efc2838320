// What differs between A and B: places moved, as setting_side.py tells them, and the paired test of comparing.py.

// Place from 1 of a row in a list, or that it comes after the list's end.
function placeIn(list, row) {
  const place = list.rows.indexOf(row) + 1;
  return place ? String(place) : `after ${list.rows.length}`;
}

// For every result of A, where it went if B does not show it.
function goneNotes(a, b, listB) {
  return a.rows.map((row) => (b.rows.includes(row) ? "" : `gone (${placeIn(listB, row)})`));
}

// For every result of B, how many places it has moved since A, or that A does not show it.
function movedNotes(b, a, listA) {
  return b.rows.map((row, at) => {
    if (!a.rows.includes(row)) return `new (${placeIn(listA, row)})`;
    const up = listA.rows.indexOf(row) + 1 - b.places[at];
    return up ? (up > 0 ? `▲ ${up}` : `▼ ${-up}`) : "=";
  });
}

// Mean of B - A over the queries that count, its interval and p, from the draws and tosses that Python makes too.
function pairedTest(level, a, b, arrays) {
  const { groups, count } = level;
  const [sums, sizes] = [new Float64Array(count), new Float64Array(count)];
  let [wins, losses, total, counted] = [0, 0, 0, 0];
  groups.forEach((group, query) => {
    if (group < 0) return;
    const lead = b[query] - a[query];
    if (lead > 0) wins += 1;
    if (lead < 0) losses += 1;
    total += lead;
    counted += 1;
    if (count) {
      sums[group] += lead;
      sizes[group] += 1;
    }
  });
  const found = { mean: total / counted, low: NaN, high: NaN, p: NaN, wins: { A: losses, B: wins } };
  if (!count) return found;
  const draws = arrays[`draws_${count}`];
  const means = new Float64Array(draws.length / count).map((_, draw) => {
    let [sum, size] = [0, 0];
    for (let group = 0; group < count; group++) {
      sum += draws[draw * count + group] * sums[group];
      size += draws[draw * count + group] * sizes[group];
    }
    return sum / size;
  });
  means.sort();
  const quantile = (share) => {
    const place = share * (means.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, means.length - 1);
    return means[below] + (place - below) * (means[above] - means[below]);
  };
  return { ...found, low: quantile(0.025), high: quantile(0.975), p: tossed(sums, arrays[`tosses_${count}`]) };
}

function tossed(sums, bits) {
  const wide = Math.ceil(sums.length / 8);
  const tosses = bits.length / wide;
  const observed = Math.abs(sums.reduce((sum, one) => sum + one, 0)) * (1 - 1e-12);
  let reached = 0;
  for (let toss = 0; toss < tosses; toss++) {
    let sum = 0;
    for (let group = 0; group < sums.length; group++) {
      sum += (bits[toss * wide + (group >> 3)] >> (7 - (group & 7))) & 1 ? sums[group] : -sums[group];
    }
    if (Math.abs(sum) >= observed) reached += 1;
  }
  return (reached + 1) / (tosses + 1);
}

function signed(value) {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(3)}`;
}

// In the words of views.difference.
function differenceWords({ mean, low, high, p }) {
  if (Number.isNaN(mean)) return ["–", ""];
  if (Number.isNaN(low)) return [signed(mean), ""];
  const apart = (low > 0 || high < 0) && !(p > 0.05);
  const verdict = apart ? (mean > 0 ? "better" : "worse") : "could be chance";
  return [signed(mean), ` [${signed(low)}, ${signed(high)}] ${verdict} (p ${Number(p.toPrecision(2))})`];
}
