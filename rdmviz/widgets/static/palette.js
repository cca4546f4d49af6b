// Colours that hold up in light and dark themes and for colour-blind readers.

// Eight categorical colours after Okabe and Ito, blue and yellow moved so that they read on white and on black; then a neutral.
const CATEGORIES = ["#1f83c6", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#a6a018"];
const OTHER = "#8a8a8a";
const NO_VALUE = 255; // code of a datapoint without a value, in a gapped ramp

const SEQUENTIAL = ramp(["#5746a8", "#3f66a8", "#2a788e", "#22a884", "#7ad151", "#dcc81e"]);
const DIVERGING_POINTS = ramp(["#0b5fd0", "#5b93d6", "#949494", "#d98a4a", "#d9480f"]); // its middle shows on white and on black
const DIVERGING_LIGHT = ramp(["#08519c", "#4a90c8", "#b5d3e9", "#fafafa", "#f6c4a4", "#dd6b4d", "#a50f15"]);
const DIVERGING_DARK = ramp(["#9ecbff", "#4a90c8", "#1d4468", "#17191d", "#6b2b1c", "#d9623f", "#ffc9a8"]);

function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// 256 colours interpolated between the anchors, as a flat RGB array.
function ramp(anchors) {
  const stops = anchors.map(channels);
  const out = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      out[3 * i + c] = Math.round(stops[left][c] + (place - left) * (stops[left + 1][c] - stops[left][c]));
    }
  }
  return out;
}

function rampColor(table, code) {
  return `rgb(${table[3 * code]},${table[3 * code + 1]},${table[3 * code + 2]})`;
}

function categoryColor(code) {
  return code < CATEGORIES.length ? CATEGORIES[code] : OTHER;
}

// What the host's theme says, read from its CSS variables, with plain fallbacks outside JupyterLab.
function readTheme(el) {
  const style = getComputedStyle(el);
  const take = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  const background = take("--jp-layout-color0", "#ffffff");
  const probe = document.createElement("canvas").getContext("2d");
  for (const paint of ["#ffffff", background]) {
    probe.fillStyle = paint; // a host's background may be see-through
    probe.fillRect(0, 0, 1, 1);
  }
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const dark = 0.299 * r + 0.587 * g + 0.114 * b < 128;
  return {
    dark,
    background,
    pixel: pixelColor(r, g, b),
    text: take("--jp-content-font-color1", dark ? "#f0f0f0" : "#1a1a1a"),
    muted: dark ? "#a9b0b8" : "#5c636b",
    zero: pixelOf(dark ? "#6b737c" : "#9aa1a9"),
    line: dark ? "#41474e" : "#d4d8dd",
    cursor: dark ? "#ffb86b" : "#c2410c",
    font: take("--jp-ui-font-family", "system-ui, sans-serif"),
    diverging: dark ? DIVERGING_DARK : DIVERGING_LIGHT,
  };
}

// A colour as one little-endian RGBA pixel of an ImageData.
function pixelColor(r, g, b) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

// The same of any colour that this file gives out.
function pixelOf(color) {
  return pixelColor(...(color[0] === "#" ? channels(color) : color.slice(4, -1).split(",").map(Number)));
}
