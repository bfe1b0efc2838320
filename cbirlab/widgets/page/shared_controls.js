// The controls of one side: sliders and menus made from the declarations that Python wrote into the page.

const AXES = ["tap", "pooling", "whitening", "dimensions", "code", "re-ranking"]; // as in Choices.axes
const SLIDERS = ["tap", "dimensions"];

let fields = 0;

function field(label, input, parent) {
  const row = make("div", "cbirlab-field", parent);
  const named = make("label", "", row);
  input.id = `field-${fields++}`;
  named.htmlFor = input.id;
  named.textContent = label;
  row.append(input);
  return row;
}

// `moved(place)` is called at every stop.
function makeSlider(label, stops, parent, moved) {
  const input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: stops.length - 1, step: 1 });
  const row = field(label, input, parent);
  const told = make("output", "", row);
  const set = (place) => {
    input.value = place;
    input.setAttribute("aria-valuetext", stops[place]);
    told.textContent = stops[place];
  };
  input.addEventListener("input", () => (set(Number(input.value)), moved(Number(input.value))));
  return { row, set, input };
}

function makeMenu(label, options, parent, moved) {
  const input = document.createElement("select");
  options.forEach((option, place) => input.add(new Option(option, place)));
  input.addEventListener("change", () => moved(Number(input.value)));
  return { row: field(label, input, parent), set: (place) => (input.value = place), input };
}

// `positions` has one place per axis; that of the pooling counts through all aggregations.
class Controls {
  constructor(name, choices, moved) {
    this.poolings = choices.pooling;
    this.element = make("div", "cbirlab-controls");
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", `Settings of ${name}`);
    this.positions = AXES.map(() => 0);
    this.group = 0;
    this.stops = this.poolings.map(({ sliders }) => sliders.map(({ start }) => start));
    this.counts = AXES.map((axis) => choices[axis].length);
    this.inputs = [];
    this.set = AXES.map((axis, at) => {
      const move = (place) => {
        this.positions[at] = place;
        moved();
      };
      if (axis === "pooling") return this.addPooling(at, moved);
      if (choices[axis].length < 2) return () => {};
      const made = (SLIDERS.includes(axis) ? makeSlider : makeMenu)(axis, choices[axis], this.element, move);
      this.inputs[at] = made.input;
      return made.set;
    });
  }

  addPooling(at, moved) {
    const follow = () => {
      this.positions[at] = this.aggregation();
      this.rows.forEach((rows, group) => rows.forEach(({ row }) => (row.hidden = group !== this.group)));
    };
    const chosen = (group) => {
      this.group = group;
      follow();
      moved();
    };
    const labels = this.poolings.map(({ label }) => label);
    const menu = labels.length > 1 ? makeMenu("pooling", labels, this.element, chosen) : { set() {} };
    this.rows = this.poolings.map(({ sliders }, group) =>
      sliders.map(({ label, stops }, slider) =>
        makeSlider(label, stops, this.element, (stop) => {
          this.stops[group][slider] = stop;
          follow();
          moved();
        }),
      ),
    );
    return (aggregation) => {
      this.group = this.poolings.findIndex(({ places }) => places.includes(aggregation));
      let place = this.poolings[this.group].places.indexOf(aggregation);
      this.poolings[this.group].sliders.toReversed().forEach(({ stops }, back, all) => {
        this.stops[this.group][all.length - 1 - back] = place % stops.length;
        place = Math.floor(place / stops.length);
      });
      menu.set(this.group);
      this.rows.forEach((rows, group) => rows.forEach(({ set }, slider) => set(this.stops[group][slider])));
      follow();
    };
  }

  // The place of the chosen pooling among all aggregations; -1 where no such combination of sliders was prepared.
  aggregation() {
    const { sliders, places } = this.poolings[this.group];
    return places[sliders.reduce((place, { stops }, at) => place * stops.length + this.stops[this.group][at], 0)];
  }

  show(positions) {
    this.positions = [...positions];
    this.set.forEach((set, axis) => set(positions[axis]));
  }

  // Disable what has no effect on the present choice, as the dimensions without a whitening.
  refresh(settingOf) {
    this.inputs.forEach((input, axis) => {
      if (axis === 0) return;
      const every = Array.from({ length: this.counts[axis] }, (_, place) => settingOf(this.positions.with(axis, place)));
      input.disabled = every.every((setting) => setting === every[0]);
    });
  }
}
