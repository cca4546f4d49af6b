// What every canvas picture needs: a sized canvas, text, number formats, typed views of binary traits.

function makeCanvas(parent, label) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  parent.appendChild(canvas);
  return canvas;
}

// Match the canvas to its box and the screen's pixels; returns a context in CSS pixels, cleared.
function sizedContext(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const [pw, ph] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pw || canvas.height !== ph) {
    canvas.width = pw;
    canvas.height = ph;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function writeText(context, theme, text, x, y, { align = "left", color = theme.muted, size = 11, bold = false, baseline = "alphabetic" } = {}) {
  context.font = `${bold ? "600 " : ""}${size}px ${theme.font}`;
  context.textAlign = align;
  context.textBaseline = baseline;
  context.fillStyle = color;
  context.fillText(text, x, y);
}

function formatNumber(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return minusSigned(Number(value.toPrecision(3)));
  const [mantissa, exponent] = value.toExponential(1).split("e");
  return minusSigned(`${Number(mantissa)}e${Number(exponent)}`); // as the axes of the curves have it
}

// A number as text, with the minus sign that is as wide as a plus.
function minusSigned(number) {
  return String(number).replaceAll("-", "−");
}

const STEPS = new Intl.NumberFormat("en-US");

function formatStep(step) {
  return STEPS.format(step);
}

function formatShare(share) {
  return share >= 0.0995 ? `${Math.round(100 * share)}%` : `${(100 * share).toPrecision(2)}%`;
}

// A binary trait (DataView, ArrayBuffer or nothing yet) as a typed array of its own.
function typedTrait(model, name, Kind) {
  const value = model.get(name);
  if (!value) return new Kind(0);
  const view = value.buffer ? value : new DataView(value);
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

// Call `redraw(theme)` at most once per screen refresh, and again when size or theme change; returns [schedule, stop].
function redrawing(el, redraw) {
  let pending = 0;
  let theme = null; // reading it costs more than drawing, so it is read when it changes
  const schedule = () => {
    if (!pending) {
      pending = requestAnimationFrame(() => {
        pending = 0;
        theme ??= readTheme(el);
        redraw(theme);
      });
    }
  };
  const sizes = new ResizeObserver(schedule);
  sizes.observe(el);
  const themes = new MutationObserver(() => {
    theme = null;
    setTimeout(schedule, 300); // the host changes its stylesheet after it names the theme
  });
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light", "class"] });
  const stop = () => {
    sizes.disconnect();
    themes.disconnect();
    cancelAnimationFrame(pending);
  };
  return [schedule, stop];
}

// Subscribe to changes of a model, and get back the way to end them all.
function listening(model, events, callback) {
  const names = events.map((event) => `change:${event}`).join(" ");
  model.on(names, callback);
  return () => model.off(names, callback);
}

// A node of a drawing, with its attributes.
function svgElement(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text; // never innerHTML: texts come from runs
  return node;
}
