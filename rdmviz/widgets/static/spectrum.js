// The spectrum of the 2RDM: the share of each eigenvalue in the trace, the modes of the map marked, the edge of noise.

const SPECTRUM_MARGIN = { left: 40, right: 6, top: 27, bottom: 28 };
const SMALLEST_SHARE = 1e-4;
const SPECTRUM_TICKS = { log: [[1, "100%"], [0.1, "10%"], [0.01, "1%"], [0.001, "0.1%"]], linear: [[1, "100%"], [0.75, "75%"], [0.5, "50%"], [0.25, "25%"], [0, "0"]] };
const ON_THE_MAP = ["↔", "↕"]; // across, up

class SpectrumPicture {
  constructor(parent, scene) {
    this.scene = scene;
    this.canvas = makeCanvas(parent, "");
    this.canvas.setAttribute("role", "application");
    this.canvas.tabIndex = 0;
    this.canvas.className = "rdmviz-spectrum";
    this.pointed = null; // mode under the pointer or the keys, from 0
    this.frame = null;
  }

  // Number of modes that have a bar, or a place for one.
  get count() {
    return this.frame?.eigenvalues.length ?? 0;
  }

  share(k) {
    return this.frame.state === 0 && this.frame.trace > 0 ? this.frame.eigenvalues[k] / this.frame.trace : 0;
  }

  pick(x) {
    const { left, right } = SPECTRUM_MARGIN;
    const k = Math.floor(((x - left) / (this.canvas.clientWidth - left - right)) * this.count);
    return this.frame?.state === 0 && k >= 0 && k < this.count ? k : null;
  }

  draw(frame, theme) {
    this.frame = frame;
    const { context, width, height } = sizedContext(this.canvas);
    const { left, right, top, bottom } = SPECTRUM_MARGIN;
    const { trace, ratio } = frame;
    const facts = [`Tr C ${formatNumber(trace)} · PR ${formatNumber(ratio)}`, detrendWords(this.scene.get("mode_detrend"))];
    context.font = `11px ${theme.font}`;
    const lines = context.measureText(facts.join(" · ")).width <= width - right ? [facts.join(" · ")] : facts;
    const [x0, x1, y0, y1] = [left, width - right, height - bottom, top + 12 * (lines.length - 1)];
    const scale = this.scene.get("spectrum_scale");
    const part = scale === "log" ? (share) => 1 - Math.log10(Math.max(share, SMALLEST_SHARE)) / Math.log10(SMALLEST_SHARE) : (share) => share;
    const level = (share) => y0 + (y1 - y0) * part(share);
    context.lineWidth = 1;
    const ticks = SPECTRUM_TICKS[scale];
    const rarely = y0 - y1 < 14 * (ticks.length - 1) ? 2 : 1;
    ticks.forEach(([share, text], k) => {
      if (k % rarely) return;
      const y = Math.round(level(share)) + 0.5;
      context.strokeStyle = theme.line;
      context.beginPath();
      context.moveTo(x0, y);
      context.lineTo(x1, y);
      context.stroke();
      writeText(context, theme, text, x0 - 5, y, { align: "right", size: 10, baseline: "middle" });
    });
    const shown = this.count;
    const step = (x1 - x0) / shown;
    const every = Math.ceil(24 / step);
    const modes = this.scene.get("modes").map((mode) => mode - 1);
    const most = this.scene.get("most_modes");
    for (let k = 0; k < shown; k++) {
      const share = this.share(k);
      const axis = modes.indexOf(k);
      const y = level(share);
      if (share > (scale === "log" ? SMALLEST_SHARE : 0)) {
        context.fillStyle = axis < 0 ? theme.muted : CATEGORIES[axis];
        context.globalAlpha = k < most ? 1 : 0.6;
        context.fillRect(x0 + k * step + 1, Math.min(y, y0 - 1), Math.max(step - 2, 1), Math.max(y0 - y, 1));
        context.globalAlpha = 1;
      }
      const center = x0 + (k + 0.5) * step;
      if (axis >= 0 && frame.state === 0) {
        writeText(context, theme, ON_THE_MAP[axis], center, Math.min(y, y0) - 2, { align: "center", size: 11, bold: true, color: theme.text });
      }
      if (k === this.pointed) {
        context.strokeStyle = theme.cursor;
        context.lineWidth = 2;
        context.strokeRect(x0 + k * step, y1, step, y0 - y1);
      }
      if (k % every === 0) writeText(context, theme, String(k + 1), center, y0 + 12, { align: "center", size: 10 });
    }
    // The modes that can be put on the map.
    context.strokeStyle = theme.muted;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x0 + 1, y0 + 2);
    context.lineTo(x0 + Math.min(most, shown) * step - 1, y0 + 2);
    context.stroke();
    context.font = `10px ${theme.font}`;
    const named = [`mode (1–${most} can be put on the map)`, `mode (1–${most}: on the map)`].find((text) => context.measureText(text).width <= x1 - x0) ?? "mode";
    writeText(context, theme, named, (x0 + x1) / 2, height - 3, { align: "center", size: 10 });
    if (frame.state !== 0) return;
    const { edge } = this.null?.() ?? {};
    if (edge != null) {
      const share = edge / frame.trace;
      const y = Math.max(y1 + 1, Math.min(y0 - 1, level(share)));
      context.strokeStyle = theme.cursor;
      context.lineWidth = 1.5;
      context.setLineDash([6, 3]);
      context.beginPath();
      context.moveTo(x0, y);
      context.lineTo(x1, y);
      context.stroke();
      context.setLineDash([]);
      writeText(context, theme, `null edge ${formatShare(share)}`, x1, y - 3 < y1 + 9 ? y + 11 : y - 3, { align: "right", size: 10, color: theme.text });
    }
    lines.forEach((line, k) => writeText(context, theme, line, x1, 10 + 12 * k, { align: "right", color: theme.text }));
  }
}

function detrendWords(detrend) {
  return detrend === "none" ? "no detrending" : `${detrend} detrending`;
}

function renderSpectrum(model, el, scene) {
  const view = pictureView(el, scene, "spectrum", "Spectrum", (figure) => new SpectrumPicture(figure, scene), ["modes", "most_modes", "spectrum_scale"]);
  const { picture, figure, root, schedule } = view;
  const { canvas } = picture;
  const stopChoice = pictureChoice(figure, scene, "spectrum_scale", "Axis of the eigenvalues", ["log", "linear"]);
  const say = readingLine(figure, "spectrum");
  const rest = new AtRest(scene, "edge", () => (frameStore(scene).at(scene.get("index"))?.state > 0 ? null : {}), schedule);
  picture.null = () => rest.now();

  const read = () => {
    const most = scene.get("most_modes");
    canvas.setAttribute("aria-label", `Spectrum of the 2RDM. Arrow keys move from mode to mode; Enter puts one of the modes 1 to ${most} across the map, Shift and Enter up`);
    const { frame, pointed } = picture;
    const edge = rest.now();
    root.dataset.nullEdge = edge ? "known" : rest.asked ? "computing" : "";
    if (!frame || frame.state !== 0) return say("");
    if (pointed === null) return say(edge?.words ?? (rest.asked ? "null edge: computing …" : "null edge: not computed while time moves"));
    let together = 0;
    for (let k = 0; k <= pointed; k++) together += picture.share(k);
    const facts = [`mode ${pointed + 1}: eigenvalue ${formatNumber(frame.eigenvalues[pointed])}`, `${formatShare(picture.share(pointed))} of Tr C`];
    if (pointed > 0) facts.push(`${formatShare(Math.min(together, 1))} with those before`);
    const axis = scene.get("modes").indexOf(pointed + 1);
    facts.push(axis >= 0 ? ["across the map", "up the map"][axis] : pointed < most ? "click: across the map, Shift-click: up" : `only modes 1–${most} can be put on the map`);
    say(facts.join(" · "));
  };
  const draw = picture.draw.bind(picture);
  picture.draw = (...given) => {
    draw(...given);
    read();
  };
  const point = (mode) => {
    if (mode === picture.pointed) return;
    picture.pointed = mode;
    canvas.style.cursor = mode !== null && mode < scene.get("most_modes") ? "pointer" : "default";
    read();
    schedule();
  };
  // Put the mode on an axis of the map; the two change places if it is on the other one.
  const choose = (up) => {
    const mode = picture.pointed === null ? 0 : picture.pointed + 1;
    if (mode < 1 || mode > scene.get("most_modes")) return;
    const modes = [...scene.get("modes")];
    const [axis, other] = up ? [1, 0] : [0, 1];
    if (modes[axis] === mode) return;
    if (modes[other] === mode) modes[other] = modes[axis];
    modes[axis] = mode;
    chooseInScene(scene, "modes", modes);
  };
  canvas.addEventListener("pointermove", (event) => point(picture.pick(placeOfEvent(event)[0])));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", (event) => {
    point(picture.pick(placeOfEvent(event)[0]));
    choose(event.shiftKey);
  });
  const moved = (event) => {
    const last = picture.count - 1;
    const at = picture.pointed;
    const to = { ArrowLeft: at === null ? 0 : at - 1, ArrowRight: at === null ? 0 : at + 1, Home: 0, End: last }[event.key];
    return to === undefined || picture.frame?.state !== 0 ? undefined : Math.max(0, Math.min(last, to));
  };
  pointingByKeys(canvas, moved, point, choose);
  return () => {
    stopChoice();
    rest.stop();
    view.stop();
  };
}
