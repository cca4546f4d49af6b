// The time cursor over the warning curves: a line and the values under it, drawn over the bqplot figures; click or drag moves time.

function renderCursor(model, el, scene) {
  const overlay = element("div", "rdmviz-cursor");
  const canvas = makeCanvas(overlay, "Cursor at the current step on the warning curves");
  el.append(overlay);
  let steps = typedTrait(scene, "steps", Float64Array);
  let values = typedTrait(model, "values", Float32Array);

  // The plot areas of the figures under the overlay, in the overlay's own pixels.
  const panels = () => {
    const origin = overlay.getBoundingClientRect();
    const curves = overlay.closest(".rdmviz-curves");
    return [...(curves?.querySelectorAll(".plotarea_background") ?? [])].map((area) => {
      const box = area.getBoundingClientRect();
      return { left: box.left - origin.left, top: box.top - origin.top, width: box.width, height: box.height };
    });
  };

  const [schedule, stopRedrawing] = redrawing(overlay, (theme) => {
    const { context } = sizedContext(canvas);
    const index = scene.get("index");
    const [low, high] = scene.get("span");
    const place = (steps[index] - low) / (high - low || 1);
    const readouts = model.get("readouts");
    const boxes = panels();
    boxes.forEach((panel, row) => {
      const x = Math.round(panel.left + place * panel.width) + 0.5;
      context.strokeStyle = theme.cursor;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x, panel.top);
      context.lineTo(x, panel.top + panel.height);
      context.stroke();
      writeText(context, theme, model.get("titles")[row] ?? "", panel.left, panel.top - 6, { color: theme.text, bold: true });
      writeText(context, theme, "step", panel.left - 8, panel.top + panel.height + 13, { align: "right", size: 10 });
      const texts = readouts
        .map(({ panel: home, label, color }, k) => ({ home, label, color, value: values[k * steps.length + index] }))
        .filter(({ home }) => home === row);
      let right = panel.left + panel.width - 2;
      for (const { label, color, value } of texts.reverse()) {
        const text = `${label} ${formatNumber(value)}`.trim();
        writeText(context, theme, text, right, panel.top - 6, { align: "right", color: theme.text });
        right -= context.measureText(text).width + 4;
        context.fillStyle = color;
        context.fillRect(right - 8, panel.top - 10, 8, 3);
        right -= 18;
      }
    });
    if (!boxes.length) setTimeout(schedule, 100); // bqplot has not drawn its figures yet
  });

  const moveTo = (event) => {
    const [panel] = panels();
    if (!panel) return;
    const [low, high] = scene.get("span");
    const share = (event.clientX - overlay.getBoundingClientRect().left - panel.left) / panel.width;
    const step = low + Math.max(0, Math.min(1, share)) * (high - low);
    moveScene(scene, nearestRow(steps, step));
  };
  overlay.addEventListener("pointerdown", (event) => {
    overlay.setPointerCapture(event.pointerId);
    moveTo(event);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) moveTo(event);
  });

  const reload = () => {
    steps = typedTrait(scene, "steps", Float64Array);
    values = typedTrait(model, "values", Float32Array);
    schedule();
  };
  const stops = [stopRedrawing, listening(scene, ["index", "span"], schedule), listening(scene, ["steps"], reload)];
  model.on("change:values", reload);
  stops.push(() => model.off("change:values", reload));
  schedule();
  return () => stops.forEach((stop) => stop());
}
