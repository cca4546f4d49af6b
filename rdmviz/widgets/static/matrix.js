// The 2RDM of up to a hundred datapoints, ordered so that its blocks show; colours symmetric about zero.

const STRIP = 7;

class MatrixPicture {
  constructor(parent) {
    this.canvas = makeCanvas(parent, "The 2RDM: covariance of the losses of pairs of datapoints, reordered into blocks");
    this.canvas.className = "rdmviz-matrix";
    this.pixels = document.createElement("canvas");
    this.frame = null;
  }

  box() {
    const side = Math.min(this.canvas.clientWidth - STRIP - 3, this.canvas.clientHeight - STRIP - 22);
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

  draw(frame, theme, coloring, marked) {
    this.frame = frame;
    const { context } = sizedContext(this.canvas);
    const box = this.box();
    if (frame.state !== 0) {
      context.strokeStyle = theme.line;
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.side - 1, box.side - 1);
      return;
    }
    const size = frame.order.length;
    const image = new ImageData(size, size);
    const table = theme.diverging;
    let at = 0;
    for (let row = 0; row < size; row++) {
      for (let column = 0; column <= row; column++, at++) {
        const code = 3 * frame.matrix[at];
        for (const place of [4 * (row * size + column), 4 * (column * size + row)]) {
          image.data[place] = table[code];
          image.data[place + 1] = table[code + 1];
          image.data[place + 2] = table[code + 2];
          image.data[place + 3] = 255;
        }
      }
    }
    this.pixels.width = this.pixels.height = size;
    this.pixels.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.pixels, box.x, box.y, box.side, box.side);

    const cell = box.side / size;
    const rows = new Map(marked);
    for (let k = 0, from = 0; k < size; k++) {
      // The coloured strips along both sides, drawn in runs of one colour.
      const code = coloring.code(frame, frame.order[k]);
      if (k + 1 === size || coloring.code(frame, frame.order[k + 1]) !== code) {
        context.fillStyle = coloring.paint(code);
        context.fillRect(0, box.y + from * cell, STRIP, (k + 1 - from) * cell);
        context.fillRect(box.x + from * cell, 0, (k + 1 - from) * cell, STRIP);
        from = k + 1;
      }
      if (rows.has(frame.order[k])) {
        context.strokeStyle = rows.get(frame.order[k]) ? theme.cursor : theme.text;
        context.lineWidth = 1.2;
        context.strokeRect(box.x, box.y + k * cell, box.side, cell);
        context.strokeRect(box.x + k * cell, box.y, cell, box.side);
      }
    }
    this.scaleBar(context, theme, box, frame.matrixScale);
  }

  scaleBar(context, theme, box, scale) {
    const y = box.y + box.side + 6;
    const [left, width] = [box.x + 58, Math.max(box.side - 116, 20)];
    const gradient = context.createLinearGradient(left, 0, left + width, 0);
    for (let k = 0; k <= 6; k++) gradient.addColorStop(k / 6, rampColor(theme.diverging, Math.round((255 * k) / 6)));
    context.fillStyle = gradient;
    context.fillRect(left, y, width, 7);
    writeText(context, theme, formatNumber(-scale), left - 4, y + 8, { align: "right", size: 10 });
    writeText(context, theme, formatNumber(scale), left + width + 4, y + 8, { size: 10 });
  }
}

function renderMatrix(model, el, scene) {
  const view = pictureView(el, scene, "matrix", "2RDM, covariance (colour: signed root)", (figure) => new MatrixPicture(figure));
  const { canvas } = view.picture;
  const shared = sharedScene(scene);
  canvas.addEventListener("pointermove", (event) => {
    const pair = view.picture.pick(...placeOfEvent(event));
    hoverScene(scene, pair ? [...new Set(pair.map((k) => shared.shown[view.picture.frame.order[k]]))] : []);
  });
  canvas.addEventListener("pointerleave", () => hoverScene(scene, []));
  return view.stop;
}
