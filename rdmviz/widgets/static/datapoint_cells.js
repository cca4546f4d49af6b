// The cells of the table of datapoints: text of any script, shaded tokens, thumbnails, small curves.

const SMALL_CURVE_WIDTH = 96;
const SMALL_CURVE_HEIGHT = 24;
const CELL_CLAMPED = 140; // characters; what is longer has a button that shows the whole
const TOKEN_SHADE = [217, 119, 6]; // one hue, more of it for a larger loss
const TOKEN_SHADE_MOST = 0.55;

// A text of a run, in the direction of its own script, cut off from its surroundings.
function isolated(tag, className, text) {
  const node = element(tag, className, text);
  node.dir = "auto";
  return node;
}

// A text; a long one is clamped, with a button that asks `whole()` for all of it.
function textCell(cell, [text, length], whole) {
  cell.append(isolated("div", length > CELL_CLAMPED ? "rdmviz-text rdmviz-clamped" : "rdmviz-text", text));
  cell.firstChild.title = length > CELL_CLAMPED ? "" : text;
  if (length <= CELL_CLAMPED) return;
  const all = `Show all ${formatStep(length)} characters`;
  const button = element("button", "rdmviz-more", all);
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    const open = cell.firstChild.classList.toggle("rdmviz-clamped");
    button.textContent = open ? all : "Show less";
    button.setAttribute("aria-expanded", String(!open));
    if (!open && length > text.length) whole();
  });
  cell.append(button);
}

// The neighbours of a token in reading order; returns the nodes, to be shaded.
function tokenStrip(cell, row) {
  const strip = isolated("div", "rdmviz-tokens");
  if (row.cut[0]) strip.append(element("span", "rdmviz-hint", "… "));
  const nodes = row.texts.map((text, k) => {
    const node = element("span", "rdmviz-token", text.replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "∅");
    node.dataset.sample = row.tokens[k];
    if (row.tokens[k] === row.sample) node.classList.add("rdmviz-itself");
    strip.append(node, document.createElement("wbr"));
    return node;
  });
  if (row.cut[1]) strip.append(element("span", "rdmviz-hint", " …"));
  cell.append(strip);
  return nodes;
}

function shadeToken(node, code) {
  node.style.background = `rgba(${TOKEN_SHADE.join(",")},${((TOKEN_SHADE_MOST * code) / 255).toFixed(3)})`;
}

// A thumbnail from RGBA bytes, or a place that says there is none. An image: every canvas on a page costs each frame of a scrub,
// drawn anew or not.
function thumbnail(cell, [height, width, there], pixels, label) {
  if (!there) {
    cell.append(element("span", "rdmviz-no-picture", "no picture"));
    return;
  }
  const canvas = element("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  const picture = element("img", "rdmviz-thumbnail");
  if (Math.max(width, height) < 48) picture.classList.add("rdmviz-pixelated");
  [picture.src, picture.alt] = [canvas.toDataURL(), label];
  cell.append(picture);
}

// One scale for all small curves of a page, so that heights compare: logarithmic where all losses are positive.
function smallCurveScale(curves) {
  const finite = curves.filter(Number.isFinite);
  const log = finite.length > 0 && finite.every((loss) => loss > 0);
  const level = log ? Math.log : (loss) => loss;
  let [low, high] = [Infinity, -Infinity];
  for (const loss of finite) [low, high] = [Math.min(low, level(loss)), Math.max(high, level(loss))];
  return { log, share: (loss) => (level(loss) - low) / (high - low || 1) };
}

// An empty curve, to be drawn: SVG, for the reason above.
function smallCurve(cell, label) {
  const svg = svgElement("svg", {
    viewBox: `0 0 ${SMALL_CURVE_WIDTH} ${SMALL_CURVE_HEIGHT}`, class: "rdmviz-small-curve", role: "img", "aria-label": label,
  });
  const path = svg.appendChild(svgElement("path", {}));
  cell.append(svg);
  return path;
}

function drawSmallCurve(path, curve, places, scale) {
  const [width, height] = [SMALL_CURVE_WIDTH, SMALL_CURVE_HEIGHT];
  let [d, pen] = ["", "M"]; // a loss that is no number leaves a gap
  for (let k = 0; k < curve.length; k++) {
    const known = Number.isFinite(curve[k]);
    if (known) d += `${pen}${(1 + places[k] * (width - 2)).toFixed(2)} ${(height - 2 - scale.share(curve[k]) * (height - 4)).toFixed(2)}`;
    pen = known ? "L" : "M";
  }
  path.setAttribute("d", d);
}

function formatTableValue(kind, value) {
  if (kind === "share") return Number.isFinite(value) ? (value < 1e-4 ? "<0.01%" : formatShare(value)) : "–";
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = formatNumber(value).replace(/^-/, "−");
  return kind === "signed" && value > 0 ? `+${text}` : text;
}
