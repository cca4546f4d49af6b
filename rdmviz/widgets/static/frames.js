// Frames held in the browser: what the map, matrix and spectrum show at one recorded step, packed by the kernel.
// What the person looks at now goes first, then the rows just ahead, then a coarse grid over the span of time on screen
// (so that a fast drag always finds a frame near by), then the rest of the span around the current row, until the budget is full.
// Where time moves faster than a row per refresh of the screen, or than the kernel computes, rows in between are left out.

const BUDGET_BYTES = 10e6;
const GRID_SHARE = 0.2; // of the budget
const CHUNK_FRAMES = 24;
const CHUNK_BYTES = 3e5; // an urgent frame never waits long behind what is fetched ahead
const URGENT_FRAMES = 4;
const NEAR_ROWS = 96;
const CATCH_UP_ROWS = 32;
const IN_FLIGHT = 2; // the kernel computes one answer while the other is on its way
const SCREEN_MS = 1000 / 60;
const REST_MS = 150; // between two moves: longer, and the person has stopped, or clicks
const WIDEST_PACE = 16;
const MARGIN = 1.4; // frames come faster than time passes them, so that some are always there ahead

class FrameStore {
  constructor(scene) {
    this.scene = scene;
    this.held = new Map();
    this.asked = new Set();
    this.flying = 0;
    this.listeners = new Set();
    this.direction = scene.get("index") === scene.get("count") - 1 ? -1 : 1; // at the end there is nothing ahead
    this.stuck = false; // the kernel could not answer: ask again when the person moves on
    this.last = scene.get("index");
    [this.movedAt, this.speed, this.frameMs] = [-Infinity, 0, 0]; // rows per ms; of the kernel for a frame
    scene.on("msg:custom", (content, buffers) => this.receive(content, buffers));
    scene.on("change:epoch", () => this.forget());
    scene.on("change:span", () => this.fetch());
    scene.on("change:index", () => {
      const index = scene.get("index");
      this.move(index);
      this.stuck = false;
      this.fetch();
    });
    scene.on("change:count", () => this.fetch()); // rows were recorded since
    this.fetch();
  }

  move(index) {
    if (index === this.last) return;
    const [way, now] = [index > this.last ? 1 : -1, performance.now()];
    const since = now - this.movedAt;
    const goesOn = way === this.direction && since < REST_MS;
    this.speed = goesOn ? 0.8 * this.speed + (0.2 * Math.abs(index - this.last)) / Math.max(since, 1) : 0;
    [this.direction, this.last, this.movedAt] = [way, index, now];
  }

  // Rows from one frame to the next of those that the screen can show, and the kernel make, at the present speed.
  get pace() {
    if (performance.now() - this.movedAt > REST_MS) return 1;
    return Math.max(1, Math.min(WIDEST_PACE, Math.round(this.speed * Math.max(SCREEN_MS, MARGIN * this.frameMs))));
  }

  // Frames asked for at once.
  get chunk() {
    const affordable = Math.floor(CHUNK_BYTES / this.scene.get("layout").nbytes);
    return Math.max(URGENT_FRAMES, Math.min(CHUNK_FRAMES, affordable));
  }

  get capacity() {
    return Math.max(4 * CHUNK_FRAMES, Math.floor(BUDGET_BYTES / this.scene.get("layout").nbytes));
  }

  // The coarse grid over the span: its rows are multiples of the stride.
  get grid() {
    const [low, high] = spanRows(this.scene);
    return { low, high, stride: Math.max(1, Math.ceil((high - low + 1) / (GRID_SHARE * this.capacity))) };
  }

  forget() {
    this.held.clear();
    this.asked.clear();
    this.flying = 0;
    this.stuck = false;
    this.fetch();
  }

  // The frame at a row, or null while it is under way.
  at(index) {
    return this.held.get(index) ?? null;
  }

  // The held frame nearest to `index` on the way there from `drawn`: what to show while the kernel catches up.
  onTheWay(drawn, index) {
    if (drawn === null) return null;
    const way = Math.sign(drawn - index);
    for (let d = 1; d <= CATCH_UP_ROWS && index + way * d !== drawn; d++) {
      if (this.held.has(index + way * d)) return index + way * d;
    }
    return null;
  }

  fetch() {
    while (this.flying < IN_FLIGHT && !this.stuck && this.scene.comm_live !== false) {
      const rows = this.wanted();
      if (!rows.length) return;
      for (const row of rows) this.asked.add(row);
      this.flying++;
      this.scene.send({ kind: "frames", epoch: this.scene.get("epoch"), rows });
    }
  }

  // The next rows to ask for, the most urgent ones that are neither held nor asked for.
  wanted() {
    const index = this.scene.get("index");
    const count = this.scene.get("count");
    const { low, high, stride } = this.grid;
    const missing = (row) => row >= 0 && row < count && !this.held.has(row) && !this.asked.has(row);
    const within = (row) => (row >= low && row <= high ? row : -1);
    const collect = (rows, most) => {
      const found = [];
      for (const row of rows) {
        if (missing(row)) found.push(row);
        if (found.length === most) break;
      }
      return found;
    };
    const { pace } = this;
    const urgent = missing(index);
    if (urgent && pace === 1) return collect(this.ahead(index, URGENT_FRAMES), URGENT_FRAMES);
    // What is asked for now comes when time is further on.
    const lead = urgent ? Math.round(this.speed * this.frameMs * URGENT_FRAMES) : 0;
    const near = collect(this.ahead(index + this.direction * lead, NEAR_ROWS, pace), urgent ? URGENT_FRAMES : this.chunk).filter((row) => within(row) >= 0);
    if (near.length) return near;
    const cells = Math.ceil((high - low) / stride);
    const grid = collect(outward(Math.round(index / stride), 1, cells, (k) => within(k * stride)), this.chunk);
    if (grid.length) return grid;
    const reach = Math.floor(0.4 * (this.capacity - cells));
    return collect(outward(index, this.direction, reach, within), this.chunk);
  }

  // At a pace the rows are its multiples, so that frames asked for at different moments are evenly spread.
  *ahead(index, length, pace = 1) {
    const first = pace === 1 ? index : (Math.floor(index / pace) + (this.direction > 0 ? 1 : 0)) * pace;
    for (let d = 0; d < length; d++) yield first + this.direction * d * pace;
  }

  receive(content, buffers) {
    if (content?.kind !== "frames" || content.epoch !== this.scene.get("epoch")) return;
    this.flying = Math.max(0, this.flying - 1);
    this.frameMs = content.frame_ms;
    const layout = this.scene.get("layout");
    const view = buffers[0];
    const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
    content.rows.forEach((row, k) => {
      this.asked.delete(row);
      this.held.set(row, unpackFrame(bytes, k * layout.nbytes, layout));
    });
    for (const row of content.later) this.asked.delete(row);
    this.stuck = !content.rows.length && content.later.length > 0;
    this.makeRoom();
    for (const listener of this.listeners) listener();
    this.fetch();
  }

  // Let the frames farthest from the current row go; the grid stays.
  makeRoom() {
    const surplus = this.held.size - this.capacity;
    if (surplus <= 0) return;
    const index = this.scene.get("index");
    const { low, high, stride } = this.grid;
    const loose = [...this.held.keys()].filter((row) => row % stride !== 0 || row < low || row > high);
    loose.sort((a, b) => Math.abs(b - index) - Math.abs(a - index));
    for (const row of loose.slice(0, surplus)) this.held.delete(row);
  }
}

// Rows at growing distance from a place, the preferred direction first.
function* outward(place, direction, reach, row) {
  for (let d = 0; d <= reach; d++) {
    yield row(place + direction * d);
    yield row(place - direction * d);
  }
}

// Views into one packed frame; the kernel names the place of each field in `layout`.
function unpackFrame(bytes, base, layout) {
  const field = (Kind, name, length) => new Kind(bytes, base + layout.offsets[name], length);
  const header = field(Float32Array, "header", 8);
  const axes = field(Float32Array, "axes", 5);
  return {
    state: header[0],
    trace: header[1],
    ratio: header[2],
    ends: [header[3], header[4], header[5], header[6]],
    matrixScale: header[7],
    variances: [axes[0], axes[1]],
    largest: [axes[2], axes[3]],
    logarithmic: axes[4] === 1,
    eigenvalues: field(Float32Array, "eigenvalues", layout.eigenvalues),
    order: field(Uint16Array, "order", layout.matrix),
    starts: field(Uint16Array, "starts", layout.blocks),
    positions: field(Uint16Array, "positions", 2 * layout.shown),
    group: field(Uint8Array, "group", layout.shown),
    loss: field(Uint8Array, "loss", layout.shown),
    drift: field(Uint8Array, "drift", layout.shown),
    get loading() {
      return (this.loadingCodes ??= loadingCodes(this));
    },
    covariance: field(Uint8Array, "covariance", (layout.blocks * (layout.blocks + 1)) / 2),
    correlation: field(Uint8Array, "correlation", (layout.blocks * (layout.blocks + 1)) / 2),
  };
}

// One store per scene, shared by every view of it.
function frameStore(scene) {
  scene.rdmvizFrames ??= new FrameStore(scene);
  return scene.rdmvizFrames;
}
