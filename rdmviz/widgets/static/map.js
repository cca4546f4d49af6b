// The datapoint map: each datapoint at (√λ₁ v₁, √λ₂ v₂), so that distances are distances of loss fluctuations.

const MAP_MARGIN = { left: 30, right: 12, top: 12, bottom: 30 };

class MapPicture {
  constructor(parent, scene) {
    this.scene = scene;
    this.canvas = makeCanvas(parent, "Map of the datapoints in the two leading eigenvectors of the 2RDM");
    this.canvas.className = "rdmviz-map";
    this.sprites = new Map();
    this.frame = null;
  }

  place(frame, k) {
    const { left, right, top, bottom } = MAP_MARGIN;
    const x = left + (frame.positions[2 * k] / 65535) * (this.width - left - right);
    const y = top + (1 - frame.positions[2 * k + 1] / 65535) * (this.height - top - bottom);
    return [x, y];
  }

  // The shown datapoint under the pointer, or -1.
  pick(x, y) {
    if (!this.frame || this.frame.state !== 0) return -1;
    let [best, distance] = [-1, 144];
    for (let k = 0; k < this.frame.group.length; k++) {
      const [px, py] = this.place(this.frame, k);
      const d = (px - x) ** 2 + (py - y) ** 2;
      if (d < distance) [best, distance] = [k, d];
    }
    return best;
  }

  sprite(color, theme, radius) {
    const ratio = window.devicePixelRatio || 1;
    const key = `${color}|${radius}|${ratio}|${theme.background}`;
    let sprite = this.sprites.get(key);
    if (!sprite) {
      const side = 2 * radius + 3;
      sprite = document.createElement("canvas");
      sprite.width = sprite.height = Math.ceil(side * ratio);
      const context = sprite.getContext("2d");
      context.scale(ratio, ratio);
      context.beginPath();
      context.arc(side / 2, side / 2, radius, 0, 2 * Math.PI);
      context.globalAlpha = 0.82;
      context.fillStyle = color;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 0.7;
      context.strokeStyle = theme.background;
      context.stroke();
      sprite.side = side;
      if (this.sprites.size > 600) this.sprites.clear();
      this.sprites.set(key, sprite);
    }
    return sprite;
  }

  draw(frame, theme, coloring, marked) {
    this.frame = frame;
    const { context, width, height } = sizedContext(this.canvas);
    [this.width, this.height] = [width, height];
    const { left, right, top, bottom } = MAP_MARGIN;
    const [x0, x1, y0, y1] = [left, width - right, height - bottom, top];
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(x0 + 0.5, y1 + 0.5, x1 - x0 - 1, y0 - y1 - 1);
    if (frame.state !== 0) return;
    const [cx, cy] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const [xLow, xHigh, yLow, yHigh] = frame.ends;
    const zeroX = x0 + ((0 - xLow) / (xHigh - xLow)) * (x1 - x0);
    const zeroY = y0 + ((0 - yLow) / (yHigh - yLow)) * (y1 - y0);
    context.setLineDash([2, 3]);
    context.strokeStyle = theme.muted;
    context.beginPath();
    context.moveTo(x0, zeroY);
    context.lineTo(x1, zeroY);
    context.moveTo(zeroX, y0);
    context.lineTo(zeroX, y1);
    context.stroke();
    context.setLineDash([]);

    const count = frame.group.length;
    const sprites = new Map();
    const radius = count > 5000 ? 1.6 : count > 1500 ? 2.4 : 3.4;
    for (let k = 0; k < count; k++) {
      const code = coloring.code(frame, k);
      let sprite = sprites.get(code);
      if (!sprite) sprites.set(code, (sprite = this.sprite(coloring.paint(code), theme, radius)));
      const [x, y] = this.place(frame, k);
      context.drawImage(sprite, x - sprite.side / 2, y - sprite.side / 2, sprite.side, sprite.side);
    }
    for (const [k, strong] of marked) {
      const [x, y] = this.place(frame, k);
      context.beginPath();
      context.arc(x, y, radius + 3, 0, 2 * Math.PI);
      context.lineWidth = strong ? 2.2 : 1.5;
      context.strokeStyle = strong ? theme.cursor : theme.text;
      context.stroke();
    }

    const log = this.scene.get("map_scale") === "log";
    const share = (k) => formatShare(frame.trace > 0 ? frame.eigenvalues[k] / frame.trace : 0);
    const name = (k) => `mode ${k + 1} · ${share(k)} of Tr C${log ? " · decades" : ""}`;
    writeText(context, theme, name(0), cx, height - 5, { align: "center" });
    writeText(context, theme, formatNumber(xLow), x0, height - 17);
    writeText(context, theme, formatNumber(xHigh), x1, height - 17, { align: "right" });
    if (zeroX > x0 + 50 && zeroX < x1 - 50) writeText(context, theme, "0", zeroX, height - 17, { align: "center" });
    context.save();
    context.translate(12, cy);
    context.rotate(-Math.PI / 2);
    writeText(context, theme, name(1), 0, 0, { align: "center" });
    context.restore();
    for (const [value, y, align] of [[yHigh, y1, "right"], [yLow, y0, "left"]]) {
      context.save();
      context.translate(26, y);
      context.rotate(-Math.PI / 2);
      writeText(context, theme, formatNumber(value), 0, 0, { align });
      context.restore();
    }
  }
}

function renderMap(model, el, scene) {
  const view = pictureView(el, scene, "map", "Datapoints", (figure) => new MapPicture(figure, scene), ["map_scale"]);
  const { canvas } = view.picture;
  const shared = sharedScene(scene);
  canvas.addEventListener("pointermove", (event) => {
    const k = view.picture.pick(...placeOfEvent(event));
    canvas.style.cursor = k < 0 ? "default" : "pointer";
    hoverScene(scene, k < 0 ? [] : [shared.shown[k]]);
  });
  canvas.addEventListener("click", (event) => {
    const k = view.picture.pick(...placeOfEvent(event));
    const kept = event.shiftKey ? scene.get("selection") : [];
    const sample = k < 0 ? null : shared.shown[k];
    selectScene(scene, sample === null ? kept : kept.includes(sample) ? kept.filter((s) => s !== sample) : [...kept, sample]);
  });
  canvas.addEventListener("pointerleave", () => hoverScene(scene, []));
  return view.stop;
}
