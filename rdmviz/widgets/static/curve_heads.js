// What is written and drawn over one panel of curves, on the cursor's canvas.

const CURVE_LEGEND = 14; // pixels of a line that names several curves
const CURVE_NAMES = 3; // in a line
const MOST_MARK_LINES = 25; // of a kind; more than that in view are shapes alone, at the top
const MOST_PANELS = 6; // as signals.py has it

// The longest beginning of a text that fits.
function fittedText(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return length > 1 ? `${text.slice(0, length)}…` : "";
}

// Title and units at the left, the value at the right; several curves have a line of their own, below.
function drawHead(context, theme, panel, { title, units }, readouts, { room = 0, legend = 0 } = {}) {
  const y = panel.top - 6 - legend;
  const right = panel.left + panel.width - room;
  let free = right - panel.left;
  if (!legend && readouts.length) {
    const [{ text, color }] = readouts;
    writeText(context, theme, text, right, y, { align: "right", color: theme.text });
    const wide = context.measureText(text).width;
    context.fillStyle = color;
    context.fillRect(right - wide - 13, y - 5, 9, 3);
    free -= wide + 20;
  }
  context.font = `600 11px ${theme.font}`;
  const shown = fittedText(context, title, free);
  writeText(context, theme, shown, panel.left, y, { color: theme.text, bold: true });
  const used = context.measureText(shown).width + 6;
  if (units) {
    context.font = `11px ${theme.font}`;
    writeText(context, theme, fittedText(context, units, free - used), panel.left + used, y);
  }
  if (!legend) return;
  const each = panel.width / Math.min(CURVE_NAMES, readouts.length);
  readouts.forEach(({ label, color, text }, k) => {
    const x = panel.left + (k % CURVE_NAMES) * each;
    const line = y + CURVE_LEGEND * (1 + Math.floor(k / CURVE_NAMES));
    context.fillStyle = color;
    context.fillRect(x, line - 5, 9, 3);
    context.font = `11px ${theme.font}`;
    const wide = context.measureText(` ${text}`).width;
    const name = fittedText(context, label, each - wide - 18);
    writeText(context, theme, name, x + 12, line);
    writeText(context, theme, ` ${text}`, x + 12 + context.measureText(name).width, line, { color: theme.text });
  });
}

function drawLine(context, panel, share, color, width, dashes) {
  if (!(share >= 0 && share <= 1)) return;
  const x = Math.round(panel.left + share * panel.width) + 0.5;
  context.save();
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dashes);
  context.beginPath();
  context.moveTo(x, panel.top);
  context.lineTo(x, panel.top + panel.height);
  context.stroke();
  context.restore();
}

// Marks in time: lines of their own dashes with their shapes on top; where there are too many, the shapes alone.
function drawMarks(context, theme, panel, marks, share) {
  for (const kind of Object.keys(MARK_KINDS)) {
    const places = marks.filter((mark) => mark.kind === kind).map(({ step }) => share(step)).filter((at) => at >= 0 && at <= 1);
    const color = MARK_KINDS[kind][theme.dark ? "dark" : "light"];
    const shape = new Path2D(MARK_KINDS[kind].path);
    let taken = -Infinity;
    for (const at of places) {
      const x = panel.left + at * panel.width;
      if (places.length <= MOST_MARK_LINES) drawLine(context, panel, at, color, 1, MARK_DASHES[kind]);
      else if (x - taken < 4) continue;
      taken = x;
      context.save();
      context.translate(x - 4, panel.top);
      context.scale(8 / 12, 8 / 12);
      context.fillStyle = color;
      context.fill(shape);
      context.restore();
    }
  }
}

function drawBrush(context, theme, panel, shares) {
  const [one, other] = shares.map((share) => panel.left + share * panel.width);
  context.save();
  context.globalAlpha = 0.22;
  context.fillStyle = theme.cursor;
  context.fillRect(Math.min(one, other), panel.top, Math.abs(other - one), panel.height);
  context.restore();
}

// The step under the pointer, in words, on the lowest time axis.
function drawStepChip(context, theme, panel, share, text) {
  context.font = `600 11px ${theme.font}`;
  const wide = context.measureText(text).width + 8;
  const x = Math.max(panel.left, Math.min(panel.left + panel.width - wide, panel.left + share * panel.width - wide / 2));
  const y = panel.top + panel.height + 2;
  context.fillStyle = theme.background;
  context.fillRect(x, y, wide, 16);
  context.strokeStyle = theme.muted;
  context.strokeRect(x + 0.5, y + 0.5, wide - 1, 15);
  writeText(context, theme, text, x + wide / 2, y + 12, { align: "center", color: theme.text, bold: true });
}
