// What is read rather than seen: mAP with its bars, the paired test of A and B, and the colours that the reader's system has.

// Bars come with their lengths as data: the policy of the page lets scripts set styles, but no text.
function showMetrics(element, html) {
  element.innerHTML = html;
  for (const part of element.querySelectorAll("[data-style]")) part.style.cssText = part.dataset.style;
}

// How B differs from A over all queries, as views.paired_table writes it.
function showTests(data, a, b, parent) {
  const { levels } = data.texts;
  const all = levels.map((level, at) => [level.title, pairedTest(level, data.ap(at, a), data.ap(at, b), data.arrays)]);
  const known = all.filter(([, { mean }]) => !Number.isNaN(mean));
  if (!known.length) return;
  const table = make("table", "cbirlab-paired", parent);
  const head = make("tr", "", table);
  for (const text of ["B − A", "mean difference, 95 % interval", "A wins", "B wins"]) {
    Object.assign(make("th", "", head), { textContent: text, scope: "col" });
  }
  for (const [title, test] of known) {
    const row = make("tr", "", table);
    make("td", "", row).textContent = title;
    const told = make("td", "", row);
    const [mean, more] = differenceWords(test);
    make("strong", "", told).textContent = mean;
    told.append(more);
    for (const name of ["A", "B"]) make("td", "", row).textContent = test.wins[name];
  }
}

// The table of all settings, in a fold; `show(setting)` is called where one is chosen.
function addTable({ order, rows }, parent, show) {
  const fold = make("details", "", parent);
  make("summary", "", fold).textContent = `All ${order.length} settings, the best first; choose one to show it`;
  const box = make("div", "cbirlab-scrolled", fold);
  box.tabIndex = 0; // it scrolls, and keys must too
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Table of all settings");
  fold.addEventListener("toggle", () => {
    if (box.firstChild) return;
    box.innerHTML = rows;
    [...box.querySelectorAll("tr")].slice(1).forEach((row, at) => {
      const cell = row.firstElementChild;
      const number = cell.textContent;
      cell.textContent = "";
      addButton(number, cell, () => show(order[at])).setAttribute("aria-label", `Show setting ${number}`);
    });
  });
}

function addButton(text, parent, act) {
  const made = Object.assign(make("button", "cbirlab-button", parent), { type: "button", textContent: text });
  made.addEventListener("click", act);
  return made;
}

function followTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const tell = () => document.body.setAttribute("theme", dark.matches ? "dark" : "light"); // maps listen to it
  dark.addEventListener("change", tell);
  tell();
}
