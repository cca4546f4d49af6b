// The 2RDM of up to 400 datapoints, ordered so that its blocks show; colours symmetric about zero. While time moves it is
// drawn from the means over blocks of pairs that the frames carry, at rest from every pair, in the same order.

const STRIP = 7;
const MATRIX_BAR = 66; // colour bar at the right, with its numbers
const CODE_ZERO = 128;
const CODE_REACH = 127;
const JUMP_CELLS = 10;

// Colours of the codes 0 (undefined) to 255 as they lie in the memory of a canvas.
function codeColors(theme) {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let code = 0; code < 256; code++) {
    const entry = 3 * Math.round(127.5 + (127.5 * (code - CODE_ZERO)) / CODE_REACH);
    const color = code === 0 ? channels(theme.dark ? "#5d656e" : "#a9b0b7") : theme.diverging.slice(entry, entry + 3);
    bytes.set([...color, 255], 4 * code);
  }
  return new Uint32Array(bytes.buffer);
}

class MatrixPicture {
  constructor(parent, scene) {
    this.scene = scene;
    this.canvas = makeCanvas(parent, "");
    this.canvas.setAttribute("role", "application");
    this.canvas.tabIndex = 0;
    this.canvas.className = "rdmviz-matrix";
    this.pixels = document.createElement("canvas");
    this.cell = null; // [row, column] under the pointer or the keys
    this.frame = null;
    this.whole = null; // every pair at the row of the frame, or null
    this.painted = [];
  }

  get kind() {
    return this.scene.get("matrix");
  }

  get order() {
    return this.whole?.order ?? this.frame.order;
  }

  box() {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const side = Math.min(width - STRIP - 3 - MATRIX_BAR, height - STRIP - 19);
    return { x: STRIP + 3, y: STRIP + 3, side: Math.max(side, 10) };
  }

  // The pair of positions in the picture under the pointer, or null.
  pick(x, y) {
    if (!this.frame || this.frame.state !== 0) return null;
    const box = this.box();
    const size = this.frame.order.length;
    const [column, row] = [x - box.x, y - box.y].map((d) => Math.floor((d / box.side) * size));
    return column < 0 || row < 0 || column >= size || row >= size ? null : [row, column];
  }

  // Places among the shown of the two datapoints of the cell.
  pair() {
    if (!this.cell || !this.frame || this.frame.state !== 0) return null;
    return this.cell.map((k) => this.order[Math.min(k, this.order.length - 1)]);
  }

  // The number in the cell: undefined while only means over blocks are here, NaN where it is not defined.
  value() {
    if (!this.whole) return undefined;
    const [row, column] = this.cell;
    const [low, high] = row < column ? [row, column] : [column, row];
    return this.whole.values[(high * (high + 1)) / 2 + low];
  }

  draw(frame, theme, coloring, marked) {
    this.frame = frame;
    const answer = this.answer?.();
    if (answer !== this.answered) {
      this.answered = answer;
      this.whole = answer ? { order: new Uint16Array(answer.buffers[0]), values: new Float32Array(answer.buffers[1]), scale: answer.scale, kind: this.kind } : null;
    }
    if (this.scene.rdmvizFrames.at(this.scene.get("index")) !== frame) this.whole = this.answered = null; // the frame is one on the way
    const { context } = sizedContext(this.canvas);
    const box = this.box();
    if (frame.state !== 0) {
      context.strokeStyle = theme.line;
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.side - 1, box.side - 1);
      return;
    }
    const size = frame.order.length;
    this.paint(frame, theme);
    // Blocks are larger than pixels of the screen; cells of a large matrix are not, and are averaged.
    context.imageSmoothingEnabled = this.whole !== null && size > box.side * (window.devicePixelRatio || 1);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.pixels, box.x, box.y, box.side, box.side);
    this.borders(context, theme, box, coloring, new Map(marked));
    this.scaleBar(context, theme, box);
  }

  // Paint all cells, one pixel each, unless they are there already.
  paint(frame, theme) {
    const wanted = [frame, this.whole, this.kind, theme];
    if (wanted.every((part, k) => part === this.painted[k])) return;
    this.painted = wanted;
    const size = frame.order.length;
    if (this.pixels.width !== size) this.pixels.width = this.pixels.height = size;
    if (this.colored !== theme) [this.colors, this.colored] = [codeColors(theme), theme];
    if (this.image?.width !== size) {
      this.image = new ImageData(size, size);
      this.memory = new Uint32Array(this.image.data.buffer);
    }
    const { memory, colors } = this;
    if (this.whole) {
      const { values, scale, kind } = this.whole;
      const factor = CODE_REACH / (kind === "correlation" ? scale : Math.sqrt(scale));
      const root = kind !== "correlation";
      for (let row = 0, at = 0; row < size; row++) {
        for (let column = 0; column <= row; column++, at++) {
          const value = values[at];
          const part = root ? (value < 0 ? -Math.sqrt(-value) : Math.sqrt(value)) : value;
          const code = value === value ? Math.max(1, Math.min(255, Math.round(CODE_ZERO + factor * part))) : 0;
          memory[row * size + column] = memory[column * size + row] = colors[code];
        }
      }
    } else {
      const codes = frame[this.kind];
      const blockOf = new Uint16Array(size);
      for (let k = 0, block = -1; k < size; k++) blockOf[k] = frame.starts[block + 1] === k ? ++block : block;
      for (let row = 0; row < size; row++) {
        const above = (blockOf[row] * (blockOf[row] + 1)) / 2;
        for (let column = 0; column <= row; column++) {
          memory[row * size + column] = memory[column * size + row] = colors[codes[above + blockOf[column]]];
        }
      }
    }
    this.pixels.getContext("2d").putImageData(this.image, 0, 0);
  }

  // Coloured strips along both sides, in runs of one colour; borders of the groups; what is selected and pointed at.
  borders(context, theme, box, coloring, marks) {
    const { frame, order } = this;
    const size = order.length;
    const cell = box.side / size;
    const runs = (of, each) => {
      for (let k = 1, from = 0; k <= size; k++) {
        if (k < size && of(order[k]) === of(order[from])) continue;
        each(of(order[from]), from, k);
        from = k;
      }
    };
    runs((place) => coloring.code(frame, place), (code, from, to) => {
      context.fillStyle = coloring.paint(code);
      context.fillRect(0, box.y + from * cell, STRIP, (to - from) * cell);
      context.fillRect(box.x + from * cell, 0, (to - from) * cell, STRIP);
    });
    context.strokeStyle = theme.muted;
    context.lineWidth = 1;
    context.beginPath();
    runs((place) => frame.group[place], (_group, from) => {
      if (from === 0) return;
      const d = Math.round(from * cell) + 0.5;
      context.moveTo(box.x, box.y + d);
      context.lineTo(box.x + box.side, box.y + d);
      context.moveTo(box.x + d, box.y);
      context.lineTo(box.x + d, box.y + box.side);
    });
    context.stroke();
    runs((place) => marks.get(place), (strong, from, to) => {
      if (strong === undefined) return;
      context.strokeStyle = strong ? theme.cursor : theme.text;
      context.lineWidth = strong ? 1.6 : 1.2;
      const thick = (to - from) * cell;
      if (thick < 3) { // thinner than its outline: a line through it
        context.fillStyle = context.strokeStyle;
        const middle = (from + to) / 2 * cell - 0.75;
        context.fillRect(box.x, box.y + middle, box.side, 1.5);
        context.fillRect(box.x + middle, box.y, 1.5, box.side);
        return;
      }
      context.strokeRect(box.x, box.y + from * cell, box.side, thick);
      context.strokeRect(box.x + from * cell, box.y, thick, box.side);
    });
    if (!this.cell) return;
    const room = Math.max(cell, 5);
    const [y, x] = this.cell.map((k) => (Math.min(k, size - 1) + 0.5) * cell - room / 2);
    context.strokeStyle = theme.cursor;
    context.lineWidth = 2;
    context.strokeRect(box.x + x, box.y + y, room, room);
  }

  scaleBar(context, theme, box) {
    const correlation = this.kind === "correlation";
    const scale = correlation ? 1 : this.whole?.scale ?? this.frame.matrixScale;
    const x = box.x + box.side + 10;
    const [top, height] = [box.y + 6, Math.max(box.side - 12, 30)];
    const gradient = context.createLinearGradient(0, top + height, 0, top);
    for (let k = 0; k <= 6; k++) gradient.addColorStop(k / 6, rampColor(theme.diverging, Math.round((255 * k) / 6)));
    context.fillStyle = gradient;
    context.fillRect(x, top, 8, height);
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(x - 0.5, top - 0.5, 9, height + 1);
    for (const share of height > 90 ? [1, 0.5, 0, -0.5, -1] : [1, 0, -1]) {
      const value = scale * (correlation ? share : share * Math.abs(share));
      const text = formatNumber(value);
      writeText(context, theme, text, x + 12, top + (height * (1 - share)) / 2, { size: 10, baseline: "middle" });
    }
    const words = correlation ? "correlation" : "covariance, colour: signed root";
    writeText(context, theme, words, box.x, box.y + box.side + 12, { size: 10 });
  }
}

function renderMatrix(model, el, scene) {
  const shared = sharedScene(scene);
  const names = datapointNames(scene);
  const view = pictureView(el, scene, "matrix", "2RDM", (figure) => new MatrixPicture(figure, scene), ["matrix"]);
  const { picture, figure, schedule } = view;
  const { canvas } = picture;
  const stopChoice = pictureChoice(figure, scene, "matrix", "What the matrix shows", ["covariance", "correlation"]);
  const title = figure.querySelector(".rdmviz-title");
  const say = readingLine(figure, "matrix");

  // Selected datapoints that the frames' matrix lacks are among the whole one's.
  const lacking = () => {
    if (scene.get("layout").matrix === shared.shown.length) return [];
    return scene.get("selection");
  };
  const rest = new AtRest(scene, "matrix", () => ({ of: scene.get("matrix"), with: lacking() }), schedule, ["matrix", "selection"]);
  picture.answer = () => rest.now();

  const read = () => {
    const { matrix } = scene.get("layout");
    const [kind, count] = [scene.get("matrix"), shared.shown.length];
    canvas.setAttribute("aria-label", `2RDM: ${kind} of the losses of pairs of datapoints, by group. Arrow keys move from pair to pair, Enter selects both`);
    title.textContent = matrix < count ? `2RDM, ${matrix} of ${formatStep(scene.get("probe_size") ?? count)}` : "2RDM";
    const pair = picture.pair();
    if (!pair) {
      const what = kind === "covariance" ? "Point at a pair to read its covariance" : "Point at a pair to read its correlation; grey: undefined, a loss does not move";
      say(picture.frame && picture.frame.state !== 0 ? "" : what);
      return;
    }
    const [a, b] = pair.map((place) => shared.shown[place]);
    const value = picture.value();
    const number = value === undefined ? "…" : Number.isNaN(value) ? "undefined, one does not move" : formatNumber(value);
    say(a === b ? `${kind === "covariance" ? "variance" : kind} ${number} of ${names.of(a)}` : `${kind} ${number} of ${names.of(a)} and ${names.of(b)}`);
  };
  const draw = picture.draw.bind(picture);
  picture.draw = (...given) => {
    draw(...given);
    read();
  };
  names.listeners.add(read);

  const point = (cell) => {
    picture.cell = cell;
    const pair = picture.pair();
    hoverScene(scene, pair ? [...new Set(pair.map((place) => shared.shown[place]))] : []);
    read();
    schedule();
  };
  const keep = (added) => {
    const pair = picture.pair();
    if (pair) selectScene(scene, [...(added ? scene.get("selection") : []), ...pair.map((place) => shared.shown[place])]);
  };
  canvas.addEventListener("pointermove", (event) => point(picture.pick(...placeOfEvent(event))));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", (event) => keep(event.shiftKey));
  const moved = (event) => {
    const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!way || picture.frame?.state !== 0) return undefined;
    if (!picture.cell) return [0, 0];
    const most = picture.frame.order.length - 1;
    const far = event.shiftKey ? JUMP_CELLS : 1;
    return picture.cell.map((k, axis) => Math.max(0, Math.min(most, k + far * way[axis])));
  };
  pointingByKeys(canvas, moved, point, keep);
  return () => {
    stopChoice();
    rest.stop();
    names.listeners.delete(read);
    view.stop();
  };
}
