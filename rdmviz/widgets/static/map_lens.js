// A lens: the same datapoints as on the map, at their places in another picture, which is known at snapshots. Time, colours,
// selection and pointer are those of the map; places come from the kernel, the snapshot on screen first.

const LENS_NUMBERS = 12; // float32 before the places, see gaussian_lens.py
const LENS_BUDGET_BYTES = 10e6;
const LENS_CHUNK_BYTES = 3e5;
const LENS_NAME = "Map of the datapoints in the two leading eigenvectors of another 2RDM, with the keys of the map";

class LensFrames {
  constructor(model, scene) {
    [this.model, this.scene] = [model, scene];
    [this.held, this.listeners] = [new Map(), new Set()];
    [this.asked, this.wanted] = [null, -1];
    this.reload();
    this.received = (content, buffers) => this.receive(content, buffers);
    model.on("msg:custom", this.received);
    this.stops = [
      listening(model, ["steps", "facts", "notes", "there"], () => {
        this.reload();
        this.tell();
      }),
      listening(scene, ["map_scale"], () => {
        this.held.clear();
        this.asked = null;
        this.fetch();
      }),
      () => model.off("msg:custom", this.received),
    ];
  }

  stop() {
    for (const stop of this.stops) stop();
  }

  reload() {
    this.steps = typedTrait(this.model, "steps", Float64Array);
    this.there = typedTrait(this.model, "there", Uint8Array);
  }

  tell() {
    for (const listener of this.listeners) listener();
  }

  // The newest snapshot at or before a step, or -1.
  newestAt(step) {
    if (!this.steps.length || step < this.steps[0]) return -1;
    const near = nearestRow(this.steps, step);
    return this.steps[near] <= step ? near : near - 1;
  }

  get nbytes() {
    return 4 * LENS_NUMBERS + 4 * this.there.length;
  }

  // What a snapshot shows, or null while it is under way.
  at(snapshot) {
    if (snapshot !== this.wanted) {
      this.wanted = snapshot;
      this.fetch();
    }
    return this.held.get(snapshot) ?? null;
  }

  // Ask for the wanted one and those around it, as many as there is room for.
  fetch() {
    if (this.wanted < 0 || this.asked || this.scene.comm_live === false) return;
    const most = Math.max(1, Math.min(this.steps.length, Math.floor(LENS_BUDGET_BYTES / this.nbytes)));
    const around = Array.from(this.steps.keys()).sort((a, b) => Math.abs(a - this.wanted) - Math.abs(b - this.wanted));
    for (const far of around.slice(most)) this.held.delete(far);
    const missing = around.slice(0, most).filter((snapshot) => !this.held.has(snapshot));
    if (!missing.length) return;
    this.asked = missing.slice(0, Math.max(1, Math.floor(LENS_CHUNK_BYTES / this.nbytes)));
    this.model.send({ kind: "snapshots", snapshots: this.asked });
  }

  receive(content, buffers) {
    if (content?.kind !== "snapshots") return;
    this.asked = null;
    if (content.map_scale === this.scene.get("map_scale")) {
      const bytes = buffers[0].buffer.slice(buffers[0].byteOffset, buffers[0].byteOffset + buffers[0].byteLength);
      content.snapshots.forEach((snapshot, k) => this.held.set(snapshot, unpackLens(bytes, k * this.nbytes, this.there.length)));
      this.tell();
    }
    if (content.snapshots.length) this.fetch();
  }
}

function unpackLens(bytes, base, count) {
  const numbers = new Float32Array(bytes, base, LENS_NUMBERS);
  return {
    state: numbers[0],
    trace: numbers[1],
    ends: [...numbers.subarray(2, 6)],
    variances: [numbers[6], numbers[7]],
    largest: [numbers[8], numbers[9]],
    logarithmic: numbers[10] === 1,
    positions: new Uint16Array(bytes, base + 4 * LENS_NUMBERS, 2 * count),
  };
}

class LensPicture extends MapPicture {
  constructor(parent, scene, zoom, frames) {
    super(parent, scene, zoom);
    [this.frames, this.snapshot] = [frames, -1];
    this.canvas.setAttribute("aria-label", LENS_NAME);
    this.canvas.classList.add("rdmviz-lens");
    ["across", "up"].forEach((way, axis) => this.stage.append(element("span", `rdmviz-mode-${way} rdmviz-lens-mode`, `mode ${axis + 1}`)));
  }

  draw(frame, theme, coloring, marked, row) {
    const snapshot = this.frames.newestAt(sharedScene(this.scene).steps[row]);
    const places = snapshot < 0 ? { state: 1 } : this.frames.at(snapshot);
    if (!places) return; // the picture stays until it is here
    this.snapshot = snapshot;
    // Colours and sizes are those of the map at the row.
    const { group, loss, drift } = frame;
    super.draw({ ...places, group, loss, drift, get loading() { return frame.loading; } }, theme, coloring, marked, row);
  }

  findPlaces(frame) {
    super.findPlaces(frame);
    const { there } = this.frames;
    for (let k = 0; k < this.xs.length; k++) if (!there[k]) this.xs[k] = this.ys[k] = NaN;
  }

  drawTrails() {
    this.missing = 0; // snapshots are too far apart for a trail
  }
}

function renderLens(model, el, scene) {
  const zoom = new MapZoom();
  const frames = new LensFrames(model, scene);
  const told = () => {
    if (view.picture.snapshot >= 0) return model.get("notes")[view.picture.snapshot] ?? "";
    return frames.steps.length ? `The first snapshot is of step ${formatStep(frames.steps[0])}: move right to see it.` : "There is no snapshot yet.";
  };
  const make = (figure) => new LensPicture(figure, scene, zoom, frames);
  const view = pictureView(el, scene, model.get("lens"), model.get("title"), make, ["map_scale", "sizing", "probe_size"], told);
  const { picture, root, figure } = view;
  root.classList.add("rdmviz-lens-view");
  const hands = mapHands(model, scene, view, zoom, () => {
    const left = frames.there.reduce((sum, there) => sum + (there ? 0 : 1), 0);
    return left ? [`${formatStep(left)} datapoints are not in the snapshots`] : [];
  });
  const facts = element("div", "rdmviz-lens-facts");
  figure.querySelector("figcaption").after(facts);
  const { drawn } = picture;
  picture.drawn = () => {
    const words = model.get("facts")[picture.snapshot] ?? "";
    if (facts.textContent !== words) facts.textContent = facts.title = words;
    if (picture.snapshot >= 0) root.dataset.snapshot = String(frames.steps[picture.snapshot]);
    else delete root.dataset.snapshot;
    drawn();
  };
  const bar = element("div", "rdmviz-tools");
  const act = (change) => () => {
    change();
    view.schedule();
  };
  bar.append(
    mapButton("+", "Zoom in", "Zoom in (+)", act(() => zoom.by(1.5))),
    mapButton("−", "Zoom out", "Zoom out (−)", act(() => zoom.by(1 / 1.5))),
    mapButton("⤢", "Show all", "Show the whole picture (0)", act(() => zoom.reset())),
  );
  figure.querySelector("figcaption").append(bar);
  frames.listeners.add(view.schedule);
  return () => {
    frames.stop();
    hands.stop();
    view.stop();
  };
}
