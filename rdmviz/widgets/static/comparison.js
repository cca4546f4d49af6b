// Two or more runs under one cursor: the bar, the cursor over the overlaid curves, the heading of each run's map.

const COMPARISON_ROWS_PER_SECOND = 60;

// What the views of one comparison share: typed arrays, the scenes of the runs, and the one way to move.
class SharedComparison {
  constructor(scene) {
    this.scene = scene;
    this.runs = [];
    this.ready = Promise.all(scene.get("scenes").map((reference) => modelOf(scene, reference))).then((runs) => (this.runs = runs));
    this.reload();
    scene.on("change:revision change:coordinates change:shares change:rows change:steps change:inside", () => this.reload());
    scene.on("change:revision change:place", () => this.follow());
  }

  reload() {
    const [Doubles, Ints, Bytes] = [Float64Array, Int32Array, Uint8Array];
    this.coordinates = typedTrait(this.scene, "coordinates", Doubles);
    this.shares = typedTrait(this.scene, "shares", Doubles);
    this.rows = typedTrait(this.scene, "rows", Ints);
    this.steps = typedTrait(this.scene, "steps", Doubles);
    this.inside = typedTrait(this.scene, "inside", Bytes);
  }

  get count() {
    return this.coordinates.length;
  }

  // The place on screen; while a new axis arrives, the nearest that there is.
  get place() {
    return Math.max(0, Math.min(this.count - 1, this.scene.get("place")));
  }

  // Every map follows at once; the kernel hears of the place a few times a second. The models are set as if it had been
  // the kernel, which does the same when it hears: no row is ever told by either side, so none can be told too late.
  move(to) {
    const place = Math.max(0, Math.min(this.count - 1, Math.round(to)));
    if (place === this.scene.get("place")) return;
    this.scene.set_state({ place });
    this.telling ??= setTimeout(() => {
      this.telling = undefined;
      this.scene.send({ kind: "place", revision: this.scene.get("revision"), place: this.scene.get("place") });
    }, KERNEL_MS);
  }

  // Every map to its run's row; a move on an axis that is gone is taken back with it.
  follow() {
    this.runs.forEach((run, k) => run.set_state({ index: this.rows[k * this.count + this.place] }));
  }

  coordinate(place) {
    const value = this.coordinates[place];
    return this.scene.get("axis").includes("loss") ? `${this.scene.get("axis")} ${formatNumber(value)}` : `${this.scene.get("axis")} ${formatStep(value)}`;
  }
}

function modelOf(scene, reference) {
  return typeof reference === "string" ? scene.widget_manager.get_model(reference.slice("IPY_MODEL_".length)) : reference;
}

function sharedComparison(scene) {
  scene.rdmvizComparison ??= new SharedComparison(scene);
  return scene.rdmvizComparison;
}

const COMPARISON_TRAITS = ["place", "revision", "coordinates", "rows", "steps", "inside", "axis"];

function swatch(color) {
  const line = element("span", "rdmviz-run-swatch");
  line.style.background = color;
  return line;
}

function renderComparisonBar(model, el, scene) {
  const shared = sharedComparison(scene);
  const bar = element("div", "rdmviz-time");
  const play = element("button", "rdmviz-play", "▶");
  play.type = "button";
  const slider = element("input", "rdmviz-step");
  slider.type = "range";
  slider.min = "0";
  slider.setAttribute("aria-label", "Place on the common axis");
  const readout = element("output", "rdmviz-readout");
  const legend = element("div", "rdmviz-run-legend");
  scene.get("names").forEach((name, k) => {
    const entry = element("span", "rdmviz-legend-entry");
    entry.append(swatch(scene.get("colors")[k]), element("span", "", name));
    legend.append(entry);
  });
  const root = element("div", "rdmviz-view");
  legend.append(explainButton("comparison", root));
  bar.append(play, slider, readout);
  root.append(bar, legend);
  el.append(root);

  const show = () => {
    const words = shared.coordinate(shared.place);
    slider.max = String(shared.count - 1);
    slider.value = String(shared.place);
    slider.setAttribute("aria-valuetext", words);
    readout.textContent = words;
    const widest = Math.max(...[0, shared.count - 1].map((place) => shared.coordinate(place).length));
    readout.style.minWidth = `${widest}ch`;
  };
  for (const kind of ["input", "change"]) slider.addEventListener(kind, () => shared.move(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    event.stopPropagation(); // the notebook has its own meaning for these keys
    if (event.key === " ") {
      event.preventDefault();
      setPlaying(!ticking);
    } else if (way && event.shiftKey) {
      event.preventDefault();
      shared.move(shared.place + 10 * way);
    }
  });

  let ticking = 0;
  const setPlaying = (playing) => {
    cancelAnimationFrame(ticking);
    ticking = 0;
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    play.title = playing ? "Pause" : "Play all runs along the common axis";
    if (!playing) return;
    if (shared.place >= shared.count - 1) shared.move(0);
    const from = shared.place;
    let started = 0;
    const tick = (now) => {
      started ||= now;
      const target = from + ((now - started) / 1000) * COMPARISON_ROWS_PER_SECOND;
      shared.move(target);
      if (target >= shared.count - 1) setPlaying(false);
      else ticking = requestAnimationFrame(tick);
    };
    ticking = requestAnimationFrame(tick);
  };
  play.addEventListener("click", () => setPlaying(!ticking));
  const stops = [listening(scene, COMPARISON_TRAITS, show), () => cancelAnimationFrame(ticking)];
  setPlaying(false);
  show();
  return () => stops.forEach((stop) => stop());
}

function renderComparisonCursor(model, el, scene) {
  const shared = sharedComparison(scene);
  const overlay = element("div", "rdmviz-cursor rdmviz-comparison-cursor");
  const canvas = makeCanvas(overlay, "Cursor on the curves of all runs");
  el.append(overlay);
  let values = typedTrait(model, "values", Float32Array);

  // The plot areas of the figures under the overlay, in the overlay's own pixels.
  const panels = () => {
    const origin = overlay.getBoundingClientRect();
    return [...(overlay.closest(".rdmviz-curves")?.querySelectorAll(".plotarea_background") ?? [])].map((area) => {
      const box = area.getBoundingClientRect();
      return { left: box.left - origin.left, top: box.top - origin.top, width: box.width, height: box.height };
    });
  };

  const [schedule, stopRedrawing] = redrawing(overlay, (theme) => {
    const { context } = sizedContext(canvas);
    const place = shared.place;
    const titles = model.get("titles");
    const boxes = panels().slice(0, titles.length);
    const readouts = model.get("readouts").map((readout, row) => ({ ...readout, row }));
    boxes.forEach((panel, at) => {
      const x = Math.round(panel.left + shared.shares[place] * panel.width) + 0.5;
      context.strokeStyle = theme.cursor;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x, panel.top);
      context.lineTo(x, panel.top + panel.height);
      context.stroke();
      writeText(context, theme, titles[at], panel.left, panel.top - 6, { color: theme.text, bold: true });
      const room = panel.width - context.measureText(titles[at]).width - 16;
      context.font = `11px ${theme.font}`;
      const texts = readouts
        .filter(({ panel: home }) => home === at)
        .map(({ label, color, whole, row }) => {
          const value = values[row * shared.count + place];
          const text = `${label} ${whole && Number.isFinite(value) ? formatStep(value) : formatNumber(value)}`.trim();
          return { text, color, width: context.measureText(text).width + 24 };
        });
      while (texts.reduce((sum, { width }) => sum + width, 0) > room) texts.pop(); // the first ones matter most
      let right = panel.left + panel.width - 2;
      for (const { text, color, width } of texts.reverse()) {
        writeText(context, theme, text, right, panel.top - 6, { align: "right", color: theme.text });
        context.fillStyle = color || theme.muted;
        context.fillRect(right - width + 10, panel.top - 10, 10, 3);
        right -= width;
      }
    });
    const last = boxes.at(-1);
    if (last) writeText(context, theme, `${scene.get("axis")} →`, last.left + last.width / 2, last.top + last.height + 28, { align: "center" });
  });

  // bqplot draws its figures, and fits them to a new width, in its own time.
  const figures = new MutationObserver(() => {
    const now = JSON.stringify(panels());
    if (now !== seen) schedule();
    seen = now;
  });
  let seen = "";
  requestAnimationFrame(() => {
    const curves = overlay.closest(".rdmviz-curves");
    if (curves) figures.observe(curves, { subtree: true, childList: true, attributes: true, attributeFilter: ["width", "height", "style"] });
  });

  const moveTo = (event) => {
    const [panel] = panels();
    if (!panel) return;
    const share = (event.clientX - overlay.getBoundingClientRect().left - panel.left) / panel.width;
    shared.move(nearestRow(shared.shares, share));
  };
  overlay.addEventListener("pointerdown", (event) => {
    overlay.setPointerCapture(event.pointerId);
    moveTo(event);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) moveTo(event);
  });
  const reload = () => {
    values = typedTrait(model, "values", Float32Array);
    schedule();
  };
  const stops = [
    stopRedrawing,
    () => figures.disconnect(),
    listening(scene, [...COMPARISON_TRAITS, "shares"], schedule),
    listening(model, ["values", "titles", "readouts"], reload),
  ];
  schedule();
  return () => stops.forEach((stop) => stop());
}

function renderComparisonHeading(model, el, scene) {
  const shared = sharedComparison(scene);
  const run = model.get("run");
  const heading = element("div", "rdmviz-view rdmviz-run-heading");
  const name = element("span", "rdmviz-run-name", scene.get("names")[run]);
  const step = element("span", "rdmviz-run-step");
  const flag = element("button", "rdmviz-run-flag");
  flag.type = "button";
  const note = element("div", "rdmviz-run-note");
  note.setAttribute("role", "status");
  name.title = name.textContent;
  const title = element("div", "rdmviz-run-title");
  title.append(swatch(scene.get("colors")[run]), name);
  const where = element("div", "rdmviz-run-where");
  where.append(step, flag);
  heading.append(title, where);
  heading.append(note);
  el.append(heading);

  const show = () => {
    const at = run * shared.count + shared.place;
    const inside = Boolean(shared.inside[at]);
    const text = `step ${formatStep(shared.steps[at])}`;
    step.textContent = text;
    const [before, after] = scene.get("outside")[run] ?? ["", ""];
    note.textContent = inside ? "" : `No such place in this run, which ${isBefore(at) ? before : after}. Its nearest step is shown.`;
    el.closest(".rdmviz-twin")?.classList.toggle("rdmviz-twin-outside", !inside);
    heading.dataset.step = String(shared.steps[at]);
  };
  // Before the first place of the run, not behind its last.
  const isBefore = (at) => shared.inside.subarray(at, (run + 1) * shared.count).includes(1);
  const flagged = () => {
    const words = scene.get("flags")[run];
    flag.textContent = words ? `⚑ ${words}` : "⚐ mark as transition";
    flag.setAttribute("aria-label", `Mark the step on screen as the transition of ${scene.get("names")[run]}${words ? `, now ${words}` : ""}`);
    flag.title = "Align by transitions: mark one in every run";
  };
  flag.addEventListener("click", () => scene.send({ kind: "transition", run, step: shared.steps[run * shared.count + shared.place] }));
  const stops = [listening(scene, [...COMPARISON_TRAITS, "outside"], show), listening(scene, ["flags"], flagged)];
  show();
  flagged();
  return () => stops.forEach((stop) => stop());
}
