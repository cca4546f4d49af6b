// The datapoint map: each datapoint at its loadings in two modes, so that distances are distances of loss fluctuations.

const MAP_MARGIN = { left: 36, right: 10, top: 8, bottom: 40 };
const MAP_NAME =
  "Map of the datapoints in two eigenvectors of the 2RDM. Page Down and Page Up point at datapoints from the outermost inward, Enter selects, Shift and Enter adds, Escape clears; plus, minus, 0 and the arrow keys zoom and move";
const MAP_PICK_PIXELS = 12;
const MAP_FADED = 0.38; // of the datapoints that are not selected, while some are
const MAP_MOST_RINGS = 200;
const MAP_MOST_TRAILS = 60;
const MAP_HINT_MS = 2500;
const MAP_ONE_MODE = 0.9; // of the trace: what is left for the second axis of a fixed plane is little
const SIZE_LEVELS = 16;

class MapPicture {
  constructor(parent, scene, zoom) {
    [this.scene, this.zoom] = [scene, zoom];
    this.stage = element("div", "rdmviz-map-stage");
    parent.append(this.stage);
    this.canvas = makeCanvas(this.stage, MAP_NAME);
    this.canvas.setAttribute("role", "application");
    this.canvas.className = "rdmviz-map";
    this.points = new PointImage();
    this.frame = null;
    this.lasso = null;
    this.xs = this.ys = new Float32Array(0);
    this.plot = { left: 0, top: 0, width: 1, height: 1 };
  }

  // Share of the window at a place of the canvas, from the lower left.
  shareAt(x, y) {
    const { left, top, width, height } = this.plot;
    return [(x - left) / width, 1 - (y - top) / height];
  }

  // Place on the canvas of shares of the axes.
  placeAt(u, v) {
    const { left, top, width, height } = this.plot;
    const { factor, left: u0, bottom: v0 } = this.zoom;
    return [left + (u - u0) * factor * width, top + (1 - (v - v0) * factor) * height];
  }

  isInPlot(x, y) {
    const { left, top, width, height } = this.plot;
    return x >= left && x <= left + width && y >= top && y <= top + height;
  }

  // The datapoint under the pointer (a place among the shown), or -1. All are looked at: 20,000 take a fiftieth of a millisecond.
  pick(x, y) {
    if (this.frame?.state !== 0 || !this.isInPlot(x, y)) return -1;
    let [best, distance] = [-1, MAP_PICK_PIXELS ** 2];
    for (let k = 0; k < this.xs.length; k++) {
      const d = (this.xs[k] - x) ** 2 + (this.ys[k] - y) ** 2;
      if (d < distance && this.isInPlot(this.xs[k], this.ys[k])) [best, distance] = [k, d];
    }
    return best;
  }

  // Datapoints on the screen inside a closed path.
  inside(path) {
    const found = [];
    if (this.frame?.state !== 0) return found;
    const [lowX, highX] = [Math.min(...path.map(([x]) => x)), Math.max(...path.map(([x]) => x))];
    for (let k = 0; k < this.xs.length; k++) {
      const [x, y] = [this.xs[k], this.ys[k]];
      if (x >= lowX && x <= highX && this.isInPlot(x, y) && insidePath(path, x, y)) found.push(k);
    }
    return found;
  }

  draw(frame, theme, coloring, marked, row) {
    [this.frame, this.row] = [frame, row];
    const { context, width, height } = sizedContext(this.canvas);
    const { left, right, top, bottom } = MAP_MARGIN;
    this.plot = { left, top, width: Math.max(20, width - left - right), height: Math.max(20, height - top - bottom) };
    if (frame.state === 0) {
      this.findPlaces(frame);
      this.drawPoints(context, frame, theme, coloring);
      context.save();
      context.beginPath();
      context.rect(this.plot.left, this.plot.top, this.plot.width, this.plot.height);
      context.clip();
      this.drawTrails(context, frame, theme, coloring, marked);
      this.drawRings(context, theme, marked);
      this.drawLasso(context, theme);
      context.restore();
      this.drawAxes(context, frame, theme, height);
    }
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(this.plot.left + 0.5, this.plot.top + 0.5, this.plot.width - 1, this.plot.height - 1);
    this.drawn?.();
  }

  findPlaces(frame) {
    const count = frame.positions.length / 2;
    if (this.xs.length !== count) [this.xs, this.ys] = [new Float32Array(count), new Float32Array(count)];
    const [x0, y0] = this.placeAt(0, 0);
    const [x1, y1] = this.placeAt(1, 1);
    const [perX, perY] = [(x1 - x0) / 65535, (y1 - y0) / 65535];
    for (let k = 0; k < count; k++) {
      this.xs[k] = x0 + frame.positions[2 * k] * perX;
      this.ys[k] = y0 + frame.positions[2 * k + 1] * perY;
    }
  }

  drawPoints(context, frame, theme, coloring) {
    const ratio = window.devicePixelRatio || 1;
    const { left, top, width, height } = this.plot;
    const [originX, originY] = [Math.round(left * ratio), Math.round(top * ratio)];
    this.points.clear(Math.round(width * ratio), Math.round(height * ratio), theme.pixel);
    const zero = this.placeAt(-frame.ends[0] / (frame.ends[1] - frame.ends[0]), -frame.ends[2] / (frame.ends[3] - frame.ends[2]));
    this.points.dashed(Math.round(zero[0] * ratio) - originX, Math.round(zero[1] * ratio) - originY, theme.zero, Math.round(3 * ratio));

    const count = this.xs.length;
    this.radius = (count > 5000 ? 1.6 : count > 1500 ? 2.4 : 3.4) * Math.min(1.6, this.zoom.factor ** 0.25);
    const sizes = this.scene.get("sizing") === "loading" ? frame.loading : null;
    const colors = new Uint32Array(256);
    const known = new Uint8Array(256);
    const selected = this.selectedPlaces();
    const stamp = (k, alpha) => {
      if (Number.isNaN(this.xs[k])) return; // it is not in this picture
      const code = coloring.code(frame, k);
      if (!known[code]) [known[code], colors[code]] = [1, pixelOf(coloring.paint(code))];
      this.points.stamp(this.xs[k] * ratio - originX, this.ys[k] * ratio - originY, this.radiusOf(sizes, k) * ratio, colors[code], alpha);
    };
    const order = coloring.order(count);
    if (selected.size) {
      for (const k of order) if (!selected.has(k)) stamp(k, MAP_FADED);
      for (const k of selected) stamp(k, 1);
    } else {
      for (const k of order) stamp(k);
    }
    context.putImageData(this.points.image, originX, originY);
    this.sizes = sizes;
  }

  // Areas grow with the loading; a handful of sizes is enough, and each has its stamps.
  radiusOf(sizes, k) {
    if (!sizes) return this.radius;
    const level = Math.round((sizes[k] / 255) * SIZE_LEVELS) / SIZE_LEVELS;
    return this.radius * (0.55 + 1.7 * Math.sqrt(level));
  }

  selectedPlaces() {
    const { placeOf } = sharedScene(this.scene);
    const places = new Set();
    for (const sample of this.scene.get("selection")) if (placeOf.has(sample)) places.add(placeOf.get(sample));
    return places;
  }

  // Where marked datapoints came from, by the frames that are held: a gap where one is not.
  drawTrails(context, frame, theme, coloring, marked) {
    const rows = this.scene.get("trails");
    this.missing = 0;
    if (!rows || !marked.length) return;
    const store = frameStore(this.scene);
    const past = [];
    for (let row = Math.max(this.scene.get("first"), this.row - rows); row < this.row; row++) {
      const held = store.at(row);
      if (!held) this.missing++;
      past.push(held?.state === 0 ? held : null);
    }
    past.push(frame);
    for (const [k] of marked.slice(0, MAP_MOST_TRAILS)) {
      context.strokeStyle = context.fillStyle = coloring.paint(coloring.code(frame, k));
      let before = null;
      past.forEach((held, age) => {
        const place = held && this.placeAt(...shareOnAxes(held, frame, k));
        if (place && before) {
          context.globalAlpha = 0.25 + (0.65 * (age + 1)) / past.length;
          context.lineWidth = 1 + (1.2 * (age + 1)) / past.length;
          context.beginPath();
          context.moveTo(...before);
          context.lineTo(...place);
          context.stroke();
        }
        before = place;
      });
    }
    context.globalAlpha = 1;
  }

  drawRings(context, theme, marked) {
    const few = marked.length <= MAP_MOST_RINGS;
    for (const [k, strong] of marked) {
      if (!few && !strong) continue;
      context.beginPath();
      context.arc(this.xs[k], this.ys[k], this.radiusOf(this.sizes, k) + 2.5, 0, 2 * Math.PI);
      context.lineWidth = strong ? 2.4 : 1.3;
      context.strokeStyle = strong ? theme.cursor : theme.text;
      context.stroke();
    }
  }

  drawLasso(context, theme) {
    if (!this.lasso) return;
    context.beginPath();
    this.lasso.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    context.globalAlpha = 0.12;
    context.fillStyle = theme.cursor;
    context.fill("evenodd");
    context.globalAlpha = 1;
    context.setLineDash([4, 3]);
    context.lineWidth = 1.5;
    context.strokeStyle = theme.cursor;
    context.stroke();
    context.setLineDash([]);
  }

  drawAxes(context, frame, theme, height) {
    const { left, top, width, height: tall } = this.plot;
    const { zoom } = this;
    const [xLow, xHigh, yLow, yHigh] = frame.ends;
    const room = (length) => (words) => context.measureText(words).width <= length;
    // As many words as the axis has room for, the share itself at least.
    const share = (axis, fits) => {
      const number = formatShare(frame.trace > 0 ? frame.variances[axis] / frame.trace : 0);
      return [`${number} of Tr C${frame.logarithmic ? ", decades" : ""}`, `${number} of Tr C`].find(fits) ?? number;
    };
    const [x0, x1, y0, y1] = [left, left + width, top + tall, top];
    context.font = `11px ${theme.font}`;
    writeText(context, theme, share(0, room(width / 2 - 4)), (x0 + x1) / 2 + 2, height - 6);
    const across = [0, 1].map((u) => formatNumber(zoom.valueAt(u, zoom.left, xLow, xHigh)));
    writeText(context, theme, across[0], x0, y0 + 13);
    writeText(context, theme, across[1], x1, y0 + 13, { align: "right" });
    const [zeroX] = this.placeAt(-xLow / (xHigh - xLow), 0);
    if (zeroX > x0 + 50 && zeroX < x1 - 50) writeText(context, theme, "0", zeroX, y0 + 13, { align: "center" });
    const up = [0, 1].map((v) => formatNumber(zoom.valueAt(v, zoom.bottom, yLow, yHigh)));
    for (const [text, x, y, align] of [[share(1, room(tall / 2)), 13, (y0 + y1) / 2 - 2, "left"], [up[1], 31, y1, "right"], [up[0], 31, y0, "left"]]) {
      context.save();
      context.translate(x, y);
      context.rotate(-Math.PI / 2);
      writeText(context, theme, text, 0, 0, { align });
      context.restore();
    }
  }
}

// What a hand can do on a picture of the datapoints, the card beside the one it points at, and the words over the picture,
// to which `also()` adds.
function mapHands(model, scene, view, zoom, also) {
  const shared = sharedScene(scene);
  const { picture, root } = view;
  const card = new MapCard(picture.stage, model, scene);
  const words = element("div", "rdmviz-map-words");
  words.setAttribute("role", "status");
  picture.stage.append(words);
  let [hinted, hintTimer] = ["", 0];

  const map = {
    picture,
    zoom,
    tool: "lasso",
    pointed: -1,
    schedule: view.schedule,
    hint(text) {
      hinted = text;
      clearTimeout(hintTimer);
      hintTimer = setTimeout(() => {
        hinted = "";
        say();
      }, MAP_HINT_MS);
      say();
    },
    // Point at a place among the shown datapoints, or at none.
    point(k) {
      if (k === map.pointed) return;
      map.pointed = k;
      hoverScene(scene, k < 0 ? [] : [shared.shown[k]]);
      placeCard();
    },
    // Point at the next datapoint from the outermost inward, or back.
    pointNext(way) {
      if (picture.frame?.state !== 0) return;
      const sizes = picture.frame.loading;
      const order = Array.from(sizes.keys()).filter((k) => picture.isInPlot(picture.xs[k], picture.ys[k]));
      order.sort((a, b) => sizes[b] - sizes[a] || a - b);
      if (!order.length) return;
      const at = order.indexOf(map.pointed);
      map.point(order[at < 0 ? 0 : Math.max(0, Math.min(order.length - 1, at + way))]);
    },
    // `how`: "set" the selection, "add" to it, "remove" from it, "toggle" in it.
    select(places, how) {
      const samples = places.map((k) => shared.shown[k]);
      const old = scene.get("selection");
      const [had, now] = [new Set(old), new Set(samples)];
      if (how === "set") selectScene(scene, samples);
      else if (how === "add") selectScene(scene, [...old, ...samples]);
      else if (how === "remove") selectScene(scene, old.filter((sample) => !now.has(sample)));
      else selectScene(scene, [...old.filter((sample) => !now.has(sample)), ...samples.filter((sample) => !had.has(sample))]);
    },
  };

  const placeCard = () => {
    const [x, y] = [picture.xs[map.pointed], picture.ys[map.pointed]];
    if (map.pointed < 0 || picture.frame?.state !== 0 || !picture.isInPlot(x, y)) card.hide();
    else card.show(shared.shown[map.pointed], x, y);
  };

  const say = () => {
    const parts = hinted ? [hinted] : [];
    const selection = scene.get("selection");
    const [drawn, all] = [shared.shown.length, scene.get("probe_size")];
    if (selection.length && !hinted) {
      const unseen = selection.filter((sample) => !shared.placeOf.has(sample)).length;
      const among = drawn < all ? ` among the ${formatStep(drawn)} drawn of ${formatStep(all)}` : ` of ${formatStep(all)}`;
      parts.push(`${formatStep(selection.length - unseen)}${among} selected${unseen ? `, and ${formatStep(unseen)} not drawn` : ""}`);
    }
    if (!hinted) parts.push(...also());
    const text = parts.join(" · ");
    if (words.textContent !== text) words.textContent = text;
  };

  const tellOnce = (name, numbers) => {
    const text = numbers.join(" ");
    if (root.dataset[name] !== text) root.dataset[name] = text;
  };
  picture.drawn = () => {
    const { left, top, width, height } = picture.plot;
    tellOnce("plot", [left, top, width, height]); // where the axes span, in pixels of the canvas
    tellOnce("zoom", [zoom.factor, zoom.left, zoom.bottom]); // and the shares of them that it shows
    placeCard();
    say();
  };
  const gestures = new MapGestures(picture.canvas, root, map);
  gestures.cursor();
  const stop = () => {
    clearTimeout(hintTimer);
    card.stop();
  };
  return { map, gestures, stop };
}

function renderMap(model, el, scene) {
  const shared = sharedScene(scene);
  const zoom = new MapZoom();
  const traits = ["map_scale", "sizing", "trails", "probe_size"];
  const view = pictureView(el, scene, "map", "Datapoints", (figure) => new MapPicture(figure, scene, zoom), traits);
  const { picture } = view;
  const also = () => {
    const parts = picture.missing ? [`trails lack ${picture.missing} rows that are not here yet`] : [];
    const { frame } = picture;
    const first = frame?.state === 0 && frame.trace > 0 ? frame.eigenvalues[0] / frame.trace : 0;
    if (scene.get("plane") === "fixed" && first >= MAP_ONE_MODE) {
      parts.push(`mode 1 holds ${formatShare(first)} of the trace here: the second axis of a fixed plane shows little; unfix it, or choose other modes`);
    }
    return parts;
  };
  const { map, gestures, stop } = mapHands(model, scene, view, zoom, also);

  const store = frameStore(scene);
  const tools = mapToolbar(scene, {
    tool: () => map.tool,
    step: () => shared.steps[scene.get("index")],
    setTool(name) {
      map.tool = name;
      tools.show();
      gestures.cursor();
    },
    zoom(factor) {
      zoom.by(factor);
      view.schedule();
    },
    reset() {
      zoom.reset();
      view.schedule();
    },
  });
  view.figure.querySelector("figcaption").append(tools.bar);
  const arrived = () => {
    if (picture.missing) view.schedule(); // a trail has become longer
  };
  store.listeners.add(arrived);
  const stopSelectors = modeSelectors(scene, picture.stage);
  return () => {
    store.listeners.delete(arrived);
    stop();
    stopSelectors();
    tools.stop();
    view.stop();
  };
}
