// The 2RDM of up to a hundred datapoints, ordered so that its blocks show; colours symmetric about zero.

const STRIP = 7;

class MatrixPicture {
  constructor(parent, scene) {
    this.scene = scene;
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
    for (let k = 0; k < size; k++) {
      context.fillStyle = coloring.color(frame, frame.order[k]);
      context.fillRect(0, box.y + k * cell, STRIP, Math.ceil(cell));
      context.fillRect(box.x + k * cell, 0, Math.ceil(cell), STRIP);
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
    for (let k = 0; k < width; k++) {
      context.fillStyle = rampColor(theme.diverging, Math.round((255 * k) / width));
      context.fillRect(left + k, y, 1, 7);
    }
    writeText(context, theme, formatNumber(-scale), left - 4, y + 8, { align: "right", size: 10 });
    writeText(context, theme, formatNumber(scale), left + width + 4, y + 8, { size: 10 });
  }
}
