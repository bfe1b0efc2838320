// What stands in for anywidget's model on a page without a kernel: the same calls, answered by the page itself.
// The widgets' own modules draw with it.

class PageModel {
  // `answer(model, message)` is called with what a widget sends.
  constructor(state, answer) {
    this.state = { ...state };
    this.answer = answer;
    this.heard = new Map();
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    if (Object.is(this.state[name], value)) return;
    this.state[name] = value;
    this.tell(`change:${name}`);
  }

  // Several values; those who wait for "serial" are told last, once all are there.
  put(values) {
    for (const [name, value] of Object.entries(values)) this.set(name, value);
    this.set("serial", this.get("serial") + 1);
  }

  save_changes() {}

  send(message) {
    this.answer(this, message);
  }

  on(name, act) {
    if (!this.heard.has(name)) this.heard.set(name, new Set());
    this.heard.get(name).add(act);
  }

  off(name, act) {
    this.heard.get(name)?.delete(act);
  }

  tell(name, ...values) {
    [...(this.heard.get(name) ?? [])].forEach((act) => act(...values));
  }
}
