// The spectrum of the 2RDM: the share of each eigenvalue in the trace, on a log axis.

const SPECTRUM_MARGIN = { left: 40, right: 6, top: 18, bottom: 26 };
const SMALLEST_SHARE = 1e-4;

class SpectrumPicture {
  constructor(parent, scene) {
    this.scene = scene;
    this.canvas = makeCanvas(parent, "Spectrum of the 2RDM: share of each eigenvalue in the trace");
    this.canvas.className = "rdmviz-spectrum";
  }

  draw(frame, theme) {
    const { context, width, height } = sizedContext(this.canvas);
    const { left, right, top, bottom } = SPECTRUM_MARGIN;
    const [x0, x1, y0, y1] = [left, width - right, height - bottom, top];
    const level = (share) => y0 + (y1 - y0) * (1 - Math.log10(Math.max(share, SMALLEST_SHARE)) / Math.log10(SMALLEST_SHARE));
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    for (const [share, text] of [[1, "100%"], [0.1, "10%"], [0.01, "1%"], [0.001, "0.1%"]]) {
      const y = Math.round(level(share)) + 0.5;
      context.beginPath();
      context.moveTo(x0, y);
      context.lineTo(x1, y);
      context.stroke();
      writeText(context, theme, text, x0 - 5, y, { align: "right", size: 10, baseline: "middle" });
    }
    const shown = frame.eigenvalues.length;
    const step = (x1 - x0) / shown;
    const every = Math.ceil(24 / step);
    for (let k = 0; k < shown; k++) {
      const share = frame.state === 0 && frame.trace > 0 ? frame.eigenvalues[k] / frame.trace : 0;
      if (share > SMALLEST_SHARE) {
        context.fillStyle = k < 2 ? CATEGORIES[0] : theme.muted;
        context.fillRect(x0 + k * step + 1, level(share), Math.max(step - 2, 1), y0 - level(share));
      }
      if (k % every === 0) writeText(context, theme, String(k + 1), x0 + (k + 0.5) * step, y0 + 12, { align: "center", size: 10 });
    }
    writeText(context, theme, "mode", (x0 + x1) / 2, height - 2, { align: "center", size: 10 });
    if (frame.state === 0) {
      writeText(context, theme, `Tr C ${formatNumber(frame.trace)} · PR ${formatNumber(frame.ratio)}, ${this.scene.get("mode_detrend")} detrending`, x1, 11, { align: "right", color: theme.text });
    }
  }
}

function renderSpectrum(model, el, scene) {
  return pictureView(el, scene, "spectrum", "Spectrum", (figure) => new SpectrumPicture(figure, scene)).stop;
}
