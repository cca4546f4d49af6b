// Which colour a datapoint has: a fixed code per datapoint, or one that each frame carries (group, loss, loading, drift).

class Coloring {
  constructor(scene) {
    this.scene = scene;
    this.refresh();
  }

  refresh() {
    this.drawn = null;
    this.source = this.scene.get("color_source"); // "fixed" | "group" | "loss" | "loading" | "drift"
    this.kind = this.scene.get("color_kind"); // "categorical" | "sequential" | "gapped" | "diverging"
    this.codes = typedTrait(this.scene, "color_codes", Uint8Array);
  }

  // In which order points are drawn: what has no colour of its own first, rare categories last, on top of frequent ones.
  order(count) {
    if (this.drawn?.length !== count) {
      const gapped = this.kind === "gapped";
      const layer = (k) => (gapped ? Number(this.codes[k] !== NO_VALUE) : this.codes[k] < CATEGORIES.length ? 1 + this.codes[k] : 0);
      this.drawn = Uint32Array.from({ length: count }, (_, k) => k);
      if (gapped || (this.source === "fixed" && this.kind === "categorical")) this.drawn.sort((a, b) => layer(a) - layer(b) || a - b);
    }
    return this.drawn;
  }

  code(frame, k) {
    return this.source === "fixed" ? this.codes[k] : frame[this.source][k];
  }

  paint(code) {
    if (this.kind === "gapped" && code === NO_VALUE) return OTHER;
    return this.kind === "categorical" ? categoryColor(code) : rampColor(this.table, code);
  }

  get table() {
    return this.kind === "diverging" ? DIVERGING_POINTS : SEQUENTIAL;
  }

  // The legend as DOM nodes; texts come from the run and are set as text only.
  legend(host) {
    host.replaceChildren(element("span", "rdmviz-legend-title", this.scene.get("color_title")));
    const labels = this.scene.get("color_labels");
    const entry = (label, color) => {
      const dot = element("span", "rdmviz-dot");
      dot.style.background = color;
      const node = element("span", "rdmviz-legend-entry");
      node.append(dot, element("span", "", label));
      host.append(node);
    };
    if (this.kind === "categorical") labels.forEach((label, code) => entry(label, categoryColor(code)));
    else {
      const bar = element("span", "rdmviz-ramp");
      bar.style.background = `linear-gradient(90deg, ${[0, 51, 102, 153, 204, 255].map((c) => rampColor(this.table, c)).join(",")})`;
      const gapped = this.kind === "gapped";
      const [low, ...rest] = gapped ? labels.slice(0, 2) : labels;
      host.append(element("span", "", low ?? ""), bar, element("span", "", rest.at(-1) ?? ""));
      if (gapped) entry(labels[2], OTHER);
    }
  }
}
