// What is read rather than seen: mAP with its bars, the paired test of A and B, and the colours that the reader's system has.

// Bars come with their lengths as data: the policy of the page lets scripts set styles, but no text.
function showMetrics(element, html) {
  element.innerHTML = html;
  for (const part of element.querySelectorAll("[data-style]")) part.style.cssText = part.dataset.style;
}

function pairedTable(tests, parent) {
  const table = make("table", "cbirlab-paired", parent);
  const head = make("tr", "", table);
  for (const text of ["B − A", "mean difference, 95 % interval", "A wins", "B wins"]) {
    Object.assign(make("th", "", head), { textContent: text, scope: "col" });
  }
  for (const [title, test] of tests) {
    const row = make("tr", "", table);
    make("td", "", row).textContent = title;
    const told = make("td", "", row);
    const [mean, more] = differenceWords(test);
    make("strong", "", told).textContent = mean;
    told.append(more);
    for (const name of ["A", "B"]) make("td", "", row).textContent = test.wins[name];
  }
}

function followTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const tell = () => document.body.setAttribute("theme", dark.matches ? "dark" : "light"); // maps listen to it
  dark.addEventListener("change", tell);
  tell();
}
