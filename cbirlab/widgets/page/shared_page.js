// The page: the question, side A and perhaps side B, the map and the tables. Rankings were made before; here they are
// looked up and handed to the widgets' own modules, which draw them as in a notebook.

class Page {
  constructor(data, root) {
    this.data = data;
    const { texts } = data;
    Object.assign(this, { texts, root, question: texts.start.question, only: new Set(), compared: texts.start.compared });
    this.layOut();
    this.sides = ["A", "B"].map((name) => this.makeSide(name));
    texts.start.sides.forEach((positions, at) => this.sides[at].controls.show(positions));
    this.active = this.sides[0];
    this.begun = this.compared;
    this.widgets();
    this.arrange();
    this.draw();
    this.drawRest();
    this.sendAhead();
  }

  // What there is

  layOut() {
    const section = (label, className, parent) => {
      const made = make("section", className, parent);
      made.setAttribute("aria-label", label);
      return made;
    };
    const { root } = this;
    this.stripBox = section("Queries", "cbirlab-queries", root);
    const room = make("div", "cbirlab-room", root);
    const left = section("Settings", "cbirlab-left", room);
    const figure = make("figure", "cbirlab-query", left);
    [this.picture, this.pictured] = [make("img", "", figure), make("figcaption", "", figure)];
    this.compare = addButton("Compare A | B", left, () => this.compareThem(!this.compared));
    this.tabs = make("div", "cbirlab-tabs", left);
    this.tabs.setAttribute("role", "group");
    this.tabs.setAttribute("aria-label", "Settings of");
    make("span", "", this.tabs).textContent = "settings of";
    this.controls = make("div", "", left);
    this.results = makeSlider("results", this.counts(), left, (place) => this.showAs(place));
    this.results.set(this.counts().indexOf(String(this.shownNow())));
    this.error = make("div", "", left);
    this.error.setAttribute("role", "alert");
    this.metrics = make("div", "", left);
    this.note = make("div", "cbirlab-note", left);
    this.note.setAttribute("aria-live", "polite");
    const centre = section("Results", "cbirlab-centre", room);
    this.chosen = make("div", "cbirlab-chosen", centre);
    this.tests = make("div", "cbirlab-tests", centre);
    this.columns = make("div", "cbirlab-columns", centre);
    this.right = section("Map", "cbirlab-right", room);
    addTable(this.texts.all, section("All settings", "cbirlab-all", root), (setting) => this.showSetting(setting));
  }

  counts() {
    const stops = [6, 12, 24, 36].filter((count) => count < this.data.shown);
    return [...stops, this.data.shown].map(String);
  }

  shownNow() {
    return (this.shown ??= Math.min(24, this.data.shown));
  }

  showAs(place) {
    this.shown = Number(this.counts()[place]);
    this.ask();
  }

  makeSide(name) {
    const column = make("div", "cbirlab-column");
    const side = { name, column, heading: make("div", "", column), box: make("div", "", column) };
    side.controls = new Controls(name, this.texts.choices, () => this.ask());
    this.controls.append(side.controls.element);
    side.tab = addButton(name, this.tabs, () => this.activate(side));
    side.gallery = this.model(this.texts.gallery);
    side.gallery.on("change:clicks", () => this.pick(side.gallery.get("picked")));
    return side;
  }

  model(state) {
    return new PageModel(state, (model, { need, large }) => {
      if (need) this.give(model, need);
      if (this.data.place.has(large)) model.tell("msg:custom", { large }, [this.data.jpeg(large)]); // there is no larger one
    });
  }

  give(model, ids) {
    const known = ids.filter((id) => this.data.place.has(id));
    model.tell("msg:custom", { thumbnails: known }, known.map((id) => this.data.jpeg(id)));
  }

  widgets() {
    this.strip = this.model(this.texts.strip);
    this.strip.on("change:clicks", () => this.pick(this.strip.get("picked")));
    widgets.gallery.render({ model: this.strip, el: make("div", "", this.stripBox) });
    for (const side of this.sides) widgets.gallery.render({ model: side.gallery, el: side.box });
    const methods = Object.keys(this.texts.maps);
    this.right.hidden = !methods.length;
    if (!methods.length) return;
    const titles = methods.map((method) => this.texts.maps[method].title);
    this.method = methods[0];
    const choose = (place) => ((this.method = methods[place]), this.drawRest());
    if (methods.length > 1) makeMenu("map", titles, this.right, choose);
    const { points, groups, left_out } = this.texts.scatter;
    const bytes = (text) => new DataView(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);
    this.map = this.model({ ...this.texts.scatter, points: bytes(points), groups: bytes(groups), left_out: bytes(left_out) });
    this.map.on("change:clicks", () => this.pick(this.map.get("picked")));
    for (const name of ["selected", "kept"]) this.map.on(`change:${name}`, () => this.choose());
    this.scatter = make("div", "", this.right);
    widgets.scatter.render({ model: this.map, el: this.scatter });
    this.honest = make("p", "cbirlab-note", this.right);
  }

  // Thumbnails reach the widgets while nothing else is to do, so that a new ranking finds its pictures there.
  sendAhead(from = 0) {
    const ids = [...this.data.arrays.pictures].slice(from, from + 64);
    if (!ids.length) return void (this.root.dataset.pictures = "all");
    this.give(this.strip, ids);
    setTimeout(() => this.sendAhead(from + 64), 20);
  }

  // What is asked

  get asked() {
    return this.texts.questions[this.question];
  }

  get onShow() {
    return this.compared ? this.sides : this.sides.slice(0, 1);
  }

  pick(id) {
    const question = this.texts.questions.findIndex((one) => one.id === id);
    if (question >= 0) {
      this.question = question;
      this.ask();
    } else this.tellOf(id);
  }

  // A database image has no rankings of its own here; say what it is and where it stands.
  tellOf(id) {
    const { labels, groups, names } = this.map ? this.map.state : this.texts.scatter;
    const group = typeof groups === "string" ? -1 : groups.getInt16(2 * id, true);
    const places = this.onShow.map(({ name, list }) => `place ${placeIn(list, id)} in ${name}`);
    const mark = this.texts.gallery.marks[this.data.mark(this.question, id)]?.label ?? "";
    const parts = [labels[id], names[group], ...(this.asked.own === id ? ["the query itself"] : places), mark];
    this.note.textContent = `${parts.filter(Boolean).join(", ")}. This page holds the rankings of the queries in the strip alone.`;
  }

  // What a lasso surrounds and what chips of groups keep; -1, which no image is, if that is nothing.
  choose() {
    const [selected, kept] = ["selected", "kept"].map((name) => new Set(this.map.get(name)));
    const groups = this.map.get("groups");
    const inside = (id) => (!selected.size || selected.has(id)) && (!kept.size || kept.has(groups.getInt16(2 * id, true)));
    const ids = selected.size || kept.size ? [...Array(this.texts.images).keys()].filter(inside) : [];
    this.only = new Set(kept.size && !ids.length ? [-1] : ids);
    this.ask();
  }

  activate(side) {
    this.active = side;
    this.arrange();
    this.drawRest();
  }

  // B begins where A is, unless the page opened with a B of its own.
  compareThem(compared) {
    this.compared = compared;
    if (compared && !this.begun) this.sides[1].controls.show(this.data.positions(this.sides[0].setting));
    this.begun = true;
    if (!compared) this.active = this.sides[0];
    this.arrange();
    this.ask();
  }

  arrange() {
    this.compare.setAttribute("aria-pressed", String(this.compared));
    this.tabs.hidden = !this.compared;
    this.columns.replaceChildren(...this.onShow.map(({ column }) => column));
    for (const side of this.sides) {
      side.controls.element.hidden = side !== this.active;
      side.tab.setAttribute("aria-pressed", String(side === this.active));
    }
  }

  // How it is drawn: the galleries at once, what is read rather than seen after they are painted

  ask() {
    this.draw();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.soon);
    this.frame = requestAnimationFrame(() => (this.soon = setTimeout(() => this.drawRest())));
  }

  draw() {
    for (const side of this.onShow) {
      const setting = this.data.setting(side.controls.positions);
      side.reason = setting < 0 ? "this pooling is impossible at this tap, or was not prepared." : this.texts.impossible[setting];
      if (!side.reason) side.setting = setting;
      side.setting ??= this.texts.all.order[0];
      side.list = this.data.list(this.question, side.setting);
      side.controls.refresh((positions) => this.data.setting(positions));
      side.results = firstOf(side.list, this.only, this.shown);
    }
    const [a, b] = this.onShow;
    a.gallery.put(this.look(a, b ? goneNotes(a.results, b.results, b.list) : []));
    b?.gallery.put(this.look(b, movedNotes(b.results, a.results, a.list)));
    this.strip.set("current", this.asked.id);
    this.drawPicture();
    const refused = this.onShow.filter(({ reason }) => reason);
    const told = refused.map(({ name, reason }) => `${name}: ${reason} The gallery shows the setting before.`);
    this.error.className = refused.length ? "cbirlab-error" : "";
    this.error.textContent = told.join(" ");
  }

  look(side, notes) {
    return { ...galleryLook(this.data, this.question, side.list, side.results, this.only), notes };
  }

  drawPicture() {
    const { id, name, words } = this.asked;
    const { urls } = openStore(this.texts.strip.store);
    if (!urls.has(id)) this.give(this.strip, [id]);
    if (this.picture.src !== urls.get(id)) this.picture.src = urls.get(id);
    this.picture.alt = words;
    this.pictured.textContent = name;
  }

  drawRest() {
    for (const side of this.onShow) {
      side.heading.innerHTML = this.compared ? this.texts.heads[side.setting] : "";
      const badge = side.heading.querySelector("b");
      if (badge) badge.textContent = side.name;
    }
    const { setting } = this.active;
    showMetrics(this.metrics, this.compared ? "" : this.texts.tables[setting]);
    this.note.textContent = this.onShow.map((side) => this.apOf(side)).filter(Boolean).join(" ");
    this.drawTests();
    this.chosen.replaceChildren();
    if (this.only.size) {
      const only = `${countRows(this.only)} images are chosen on the map; of the first ${this.data.shown} results the others are left out.`;
      make("span", "cbirlab-note", this.chosen).textContent = only;
      addButton("Show all", this.chosen, () => {
        this.map.set("kept", []);
        this.map.set("selected", []);
      });
    }
    this.drawMap(setting);
  }

  apOf(side) {
    const values = this.texts.levels.map(({ title }, level) => {
      const ap = this.data.ap(level, side.setting)[this.question];
      return `${title} ${Number.isNaN(ap) ? "no positive" : ap.toFixed(3)}`;
    });
    const by = this.compared ? ` by ${side.name}` : "";
    return values.length ? `AP of this query${by}: ${values.join(" · ")}.` : "";
  }

  drawTests() {
    this.tests.replaceChildren();
    if (!this.compared) return;
    const [a, b] = this.sides.map(({ setting }) => setting);
    showTests(this.data, a, b, this.tests);
    make("p", "cbirlab-note", this.tests).textContent = this.texts.changes;
  }

  drawMap(setting) {
    if (!this.map) return;
    const { title, of } = this.texts.maps[this.method];
    const number = of[setting];
    this.map.set("highlight", this.active.results.rows);
    this.map.set("current", this.asked.id);
    if (this.drawn === number) return;
    this.drawn = number;
    this.map.put({ points: this.data.map(number), title: `${title} of ${this.data.points} descriptors` });
    this.honest.textContent = this.texts.honest[number];
  }

  showSetting(setting) {
    this.active.controls.show(this.data.positions(setting));
    this.ask();
  }
}

async function openPage() {
  const root = document.getElementById("page");
  followTheme();
  if (!globalThis.DecompressionStream || !Array.prototype.toReversed) {
    Object.assign(root, { className: "cbirlab-error", textContent: document.getElementById("too-old").textContent });
    return;
  }
  const data = await openData();
  root.replaceChildren();
  root.page = new Page(data, root);
  root.dataset.state = "ready";
}

openPage();
