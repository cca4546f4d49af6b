// Frames held in the browser: what the map, matrix and spectrum show at one recorded step, packed by the kernel.
// One request is in flight at a time; what the person looks at now always goes first, then the frames around it,
// ahead in the direction of motion, until the budget is full.

const BUDGET_BYTES = 10e6;
const CHUNK_FRAMES = 24;

class FrameStore {
  constructor(scene) {
    this.scene = scene;
    this.held = new Map();
    this.listeners = new Set();
    this.asking = null;
    this.direction = 1;
    this.last = scene.get("index");
    scene.on("msg:custom", (content, buffers) => this.receive(content, buffers));
    scene.on("change:epoch", () => this.forget());
    scene.on("change:index", () => {
      const index = scene.get("index");
      if (index !== this.last) this.direction = index > this.last ? 1 : -1;
      this.last = index;
      this.fetch();
    });
    this.fetch();
  }

  get capacity() {
    return Math.max(2 * CHUNK_FRAMES, Math.floor(BUDGET_BYTES / this.scene.get("layout").nbytes));
  }

  forget() {
    this.held.clear();
    this.asking = null;
    this.fetch();
  }

  // The frame at a row, or null while it is under way.
  at(index) {
    return this.held.get(index) ?? null;
  }

  fetch() {
    if (this.asking) return;
    const start = this.nextMissing();
    if (start === null) return;
    let [first, last] = [start, start];
    const urgent = start === this.scene.get("index");
    const reach = urgent ? 4 : CHUNK_FRAMES;
    const count = this.scene.get("count");
    while (last - first + 1 < reach) {
      const next = this.direction > 0 ? last + 1 : first - 1;
      if (next < 0 || next >= count || this.held.has(next)) break;
      if (this.direction > 0) last = next;
      else first = next;
    }
    this.asking = { epoch: this.scene.get("epoch"), first, last };
    this.scene.send({ kind: "frames", ...this.asking });
  }

  // The nearest row without a frame: the current one, then ahead, then behind, within what may be held.
  nextMissing() {
    const index = this.scene.get("index");
    const count = this.scene.get("count");
    if (!this.held.has(index)) return index;
    const ahead = Math.floor(this.capacity * 0.7);
    const behind = this.capacity - ahead - 1;
    for (let d = 1; d <= Math.max(ahead, behind); d++) {
      const forward = index + this.direction * d;
      if (d <= ahead && forward >= 0 && forward < count && !this.held.has(forward)) return forward;
      const backward = index - this.direction * d;
      if (d <= behind && backward >= 0 && backward < count && !this.held.has(backward)) return backward;
    }
    return null;
  }

  receive(content, buffers) {
    if (content?.kind !== "frames") return;
    this.asking = null;
    if (content.epoch === this.scene.get("epoch")) {
      const layout = this.scene.get("layout");
      const view = buffers[0];
      const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
      for (let k = 0; k * layout.nbytes < bytes.byteLength; k++) {
        this.held.set(content.first + k, unpackFrame(bytes, k * layout.nbytes, layout));
      }
      this.makeRoom();
      for (const listener of this.listeners) listener();
    }
    this.fetch();
  }

  makeRoom() {
    const surplus = this.held.size - this.capacity;
    if (surplus <= 0) return;
    const index = this.scene.get("index");
    const farthest = [...this.held.keys()].sort((a, b) => Math.abs(b - index) - Math.abs(a - index));
    for (const key of farthest.slice(0, surplus)) this.held.delete(key);
  }
}

// Views into one packed frame; the kernel names the place of each field in `layout`.
function unpackFrame(bytes, base, layout) {
  const field = (Kind, name, length) => new Kind(bytes, base + layout.offsets[name], length);
  const header = field(Float32Array, "header", 8);
  return {
    state: header[0],
    trace: header[1],
    ratio: header[2],
    ends: [header[3], header[4], header[5], header[6]],
    matrixScale: header[7],
    eigenvalues: field(Float32Array, "eigenvalues", layout.eigenvalues),
    order: field(Uint32Array, "order", layout.matrix),
    positions: field(Uint16Array, "positions", 2 * layout.shown),
    group: field(Uint8Array, "group", layout.shown),
    loss: field(Uint8Array, "loss", layout.shown),
    matrix: field(Uint8Array, "matrix", (layout.matrix * (layout.matrix + 1)) / 2),
  };
}

// One store per scene, shared by every view of it.
function frameStore(scene) {
  scene.rdmvizFrames ??= new FrameStore(scene);
  return scene.rdmvizFrames;
}
