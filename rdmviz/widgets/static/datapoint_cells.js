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

// A thumbnail from RGBA bytes, or a place that says there is none.
function thumbnail(cell, [height, width, there], pixels, label) {
  if (!there) {
    cell.append(element("span", "rdmviz-no-picture", "no picture"));
    return;
  }
  const canvas = makeCanvas(cell, label);
  canvas.className = "rdmviz-thumbnail";
  [canvas.width, canvas.height] = [width, height];
  canvas.style.aspectRatio = `${width} / ${height}`;
  if (Math.max(width, height) < 48) canvas.classList.add("rdmviz-pixelated");
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
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

function drawSmallCurve(canvas, curve, places, scale, theme) {
  // Its size is its own: it may be drawn while the host has taken its page out of the layout.
  const [width, height, ratio] = [SMALL_CURVE_WIDTH, SMALL_CURVE_HEIGHT, window.devicePixelRatio || 1];
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.strokeStyle = theme.dark ? "#7cc0f0" : "#1670ad";
  context.lineWidth = 1.2;
  context.lineJoin = "round";
  context.beginPath();
  let pen = false; // a loss that is no number leaves a gap
  for (let k = 0; k < curve.length; k++) {
    const known = Number.isFinite(curve[k]);
    const [x, y] = [1 + places[k] * (width - 2), height - 2 - scale.share(curve[k]) * (height - 4)];
    if (known) pen ? context.lineTo(x, y) : context.moveTo(x, y);
    pen = known;
  }
  context.stroke();
}

function formatTableValue(kind, value) {
  if (kind === "share") return Number.isFinite(value) ? (value < 1e-4 ? "<0.01%" : formatShare(value)) : "–";
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = formatNumber(value).replace(/^-/, "−");
  return kind === "signed" && value > 0 ? `+${text}` : text;
}
