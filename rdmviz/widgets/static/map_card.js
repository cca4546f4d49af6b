// The card beside a datapoint: what it is. The kernel writes it; until then there is its number.

const CARD_GAP = 12;
const CARD_PAUSE_MS = 90; // while time runs the kernel has frames to make, and cards wait

class MapCard {
  constructor(host, model, scene) {
    [this.host, this.model, this.scene] = [host, model, scene];
    this.box = element("div", "rdmviz-card");
    this.box.setAttribute("role", "status");
    this.box.hidden = true;
    host.append(this.box);
    [this.sample, this.row, this.waiting, this.timer] = [null, null, false, 0];
    this.answered = (content) => this.receive(content);
    model.on("msg:custom", this.answered);
  }

  stop() {
    this.model.off("msg:custom", this.answered);
    clearTimeout(this.timer);
  }

  // Show the card of a datapoint at a place of the host, in CSS pixels.
  show(sample, x, y) {
    const row = this.scene.get("index");
    if (sample !== this.sample) {
      this.sample = sample;
      this.fill([["datapoint", String(sample)]]);
      this.ask(0);
    } else if (row !== this.row) {
      this.ask(CARD_PAUSE_MS);
    }
    this.row = row;
    this.box.hidden = false;
    const { clientWidth: width, clientHeight: height } = this.host;
    const { offsetWidth, offsetHeight } = this.box;
    const right = x + CARD_GAP + offsetWidth <= width;
    const left = right ? x + CARD_GAP : Math.max(0, x - CARD_GAP - offsetWidth);
    const top = Math.max(0, Math.min(height - offsetHeight, y - offsetHeight / 2));
    this.box.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    this.place = [x, y];
  }

  hide() {
    this.sample = null;
    this.box.hidden = true;
  }

  ask(pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.sample === null || this.waiting) return;
      this.waiting = true;
      this.asked = [this.sample, this.row];
      this.model.send({ kind: "card", sample: this.sample, row: this.row });
    }, pause);
  }

  receive(content) {
    if (content?.kind !== "card") return;
    this.waiting = false;
    if (this.sample === null) return;
    if (content.sample === this.sample) {
      this.fill(content.facts);
      this.show(this.sample, ...this.place); // it has another size now
    }
    if (content.sample !== this.sample || content.row !== this.row) this.ask(0);
  }

  fill(facts) {
    const cells = facts.flatMap(([name, text]) => {
      const value = element("span", "rdmviz-fact", text);
      value.dir = "auto";
      return [element("span", "rdmviz-fact-name", name), value];
    });
    this.box.replaceChildren(...cells);
  }
}
