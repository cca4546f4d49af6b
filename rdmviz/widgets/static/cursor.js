// What lies over the bqplot curves: the cursor, marks and bookmarks, the heads of the panels with their values. Click or drag
// moves time; with Shift, or while brushing, a drag zooms to a range of time. Where the pointer is, the values are those there.

const CURSOR_REST_MS = 350;
const BRUSH_PIXELS = 4; // a shorter drag is a click
const MARK_DASHES = { transition: [], alarm: [5, 3], bookmark: [1.5, 2.5] };

async function renderCursor(model, el, scene) {
  const overlay = element("div", "rdmviz-view rdmviz-cursor");
  const surface = element("div", "rdmviz-cursor-surface");
  surface.tabIndex = 0;
  surface.setAttribute("role", "slider");
  surface.setAttribute("aria-label", "Time on the curves");
  surface.title = "";
  const canvas = makeCanvas(surface, "Cursor on the curves");
  const note = element("div", "rdmviz-note");
  note.setAttribute("role", "status");
  overlay.append(surface, note);
  el.append(overlay);
  const time = await referredModel(model, "time");
  const shared = sharedScene(scene);
  let values = typedTrait(model, "values", Float32Array);
  let [hover, brush] = [null, null]; // row under the pointer; steps at both ends of a brush
  let boxes = null;
  let tops = [];

  // The plot areas of the figures under the overlay, in the overlay's own pixels; asked for again when something moved.
  const plots = overlay.closest(".rdmviz-curves");
  const panels = () => {
    if (boxes) return boxes;
    const origin = overlay.getBoundingClientRect();
    boxes = [...(plots?.querySelectorAll(".plotarea_background") ?? [])].map((area) => {
      const box = area.getBoundingClientRect();
      return { left: box.left - origin.left, top: box.top - origin.top, width: box.width, height: box.height };
    });
    return boxes;
  };
  const valueAt = (k, index) => {
    const stride = model.get("stride");
    const length = Math.ceil((lastRow() - model.get("start") + 1) / stride);
    const place = Math.round((index - model.get("start")) / stride);
    return place >= 0 && place < length ? values[k * length + place] : NaN;
  };
  const count = () => model.get("panels").reduce((sum, { readouts }) => sum + readouts.length, 0);
  const lastRow = () => model.get("start") + model.get("stride") * (values.length / Math.max(1, count())) - 1;

  const [schedule, stopRedrawing] = redrawing(overlay, (theme) => {
    const { context } = sizedContext(canvas);
    const at = hover ?? scene.get("index");
    const step = shared.steps[at];
    const [low, high] = [time.get("min"), time.get("max")];
    const share = (step) => (step - low) / (high - low || 1);
    const told = model.get("panels");
    const marks = allMarks(scene);
    const said = [];
    let k = 0;
    panels().forEach((panel, row) => {
      if (!told[row]) return;
      drawMarks(context, theme, panel, marks, share);
      if (brush) drawBrush(context, theme, panel, brush.map(share));
      if (hover !== null) drawLine(context, panel, share(step), theme.muted, 1, [3, 3]);
      drawLine(context, panel, share(shared.steps[scene.get("index")]), theme.cursor, 1.5, []);
      writeText(context, theme, "step", panel.left - 8, panel.top + panel.height + 13, { align: "right", size: 10 });
      const readouts = told[row].readouts.map((readout) => ({ ...readout, text: formatNumber(valueAt(k++, at)) }));
      drawHead(context, theme, panel, told[row], readouts, tops[row]);
      said.push(`${told[row].title}: ${readouts.map(({ label, text }) => `${label} ${text}`.trim()).join(", ")}`);
    });
    if (hover !== null && boxes.length) {
      const panel = boxes[boxes.length - 1];
      drawStepChip(context, theme, panel, share(step), formatStep(step));
    }
    overlay.dataset.step = String(step);
    overlay.dataset.values = said.join("; ");
  });

  // Heads have room for a button that lays the plain baseline beside a spectral curve.
  const placeButtons = () => {
    overlay.querySelectorAll(".rdmviz-beside").forEach((button) => button.remove());
    const told = model.get("panels");
    const names = told.map(({ name }) => name);
    tops = panels().map((panel, row) => {
      const { baseline, baseline_title: title, legend = 0 } = told[row] ?? {};
      if (!baseline) return { room: 0, legend };
      const beside = names.includes(baseline);
      const button = element("button", "rdmviz-beside", beside ? "− plain" : "+ plain");
      button.type = "button";
      button.title = `${beside ? "Take away" : "Lay beside it"} the plain baseline: ${title}`;
      button.setAttribute("aria-label", `Plain baseline: ${title}`);
      button.setAttribute("aria-pressed", String(beside));
      button.disabled = !beside && names.length >= MOST_PANELS;
      if (button.disabled) button.title = `${MOST_PANELS} curves are on screen: take one away first`;
      button.style.left = `min(${panel.left + panel.width - 50}px, 100% - 50px)`; // a figure below the screen keeps an old size
      button.style.top = `${panel.top - 17 - legend}px`;
      button.addEventListener("click", () => {
        const next = beside ? names.filter((name) => name !== baseline) : names.toSpliced(row + 1, 0, baseline);
        chooseInScene(scene, "signals", next);
      });
      overlay.append(button);
      return { room: 54, legend };
    });
  };

  const stepAt = (event) => {
    const [panel] = panels();
    if (!panel) return null;
    const share = (event.clientX - overlay.getBoundingClientRect().left - panel.left) / panel.width;
    return time.get("min") + Math.max(0, Math.min(1, share)) * (time.get("max") - time.get("min"));
  };
  const rowAt = (event) => {
    const step = stepAt(event);
    const [low, high] = spanRows(scene);
    return step === null ? null : Math.max(low, Math.min(high, nearestRow(shared.steps, step)));
  };
  let pressedAt = 0;
  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !panels().length) return;
    surface.setPointerCapture(event.pointerId);
    surface.focus({ preventScroll: true });
    pressedAt = event.clientX;
    if (event.shiftKey || scene.rdmvizBrushing) {
      event.preventDefault(); // no text is selected
      brush = [stepAt(event), stepAt(event)];
    } else moveScene(scene, rowAt(event));
  });
  surface.addEventListener("pointermove", (event) => {
    hover = rowAt(event);
    if (brush) brush[1] = stepAt(event);
    else if (event.buttons & 1) moveScene(scene, hover);
    schedule();
  });
  const release = (event) => {
    if (!brush) return;
    const [one, other] = brush.map((step) => nearestRow(shared.steps, step));
    brush = null;
    if (event.type === "pointerup" && Math.abs(event.clientX - pressedAt) > BRUSH_PIXELS) zoomScene(scene, one, other);
    schedule();
  };
  surface.addEventListener("pointerup", release);
  surface.addEventListener("pointercancel", release);
  surface.addEventListener("pointerleave", () => {
    hover = null;
    schedule();
  });
  surface.addEventListener("dblclick", () => zoomScene(scene, 0, scene.get("count") - 1));
  listenToTimeKeys(scene, surface);

  // Once time rests, the kernel may group the loss curves anew, and a screen reader hears the values.
  let resting = 0;
  const rest = () => {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const index = scene.get("index");
      const [low, high] = spanRows(scene);
      surface.setAttribute("aria-valuemin", String(low));
      surface.setAttribute("aria-valuemax", String(high));
      surface.setAttribute("aria-valuenow", String(index));
      surface.setAttribute("aria-valuetext", `step ${formatStep(shared.steps[index])}; ${overlay.dataset.values ?? ""}`);
      if (model.get("rested") === index || scene.comm_live === false) return;
      model.set("rested", index);
      model.save_changes();
    }, CURSOR_REST_MS);
  };
  const moved = () => {
    boxes = null;
    placeButtons();
    schedule();
  };
  const reload = () => {
    values = typedTrait(model, "values", Float32Array);
    moved();
    rest();
  };
  const busy = () => {
    note.textContent = model.get("computing");
    note.hidden = !note.textContent;
  };
  const brushing = () => surface.classList.toggle("rdmviz-brushing", Boolean(scene.rdmvizBrushing));
  // bqplot draws its figures later than this, and again whenever their size changes.
  let settling = 0;
  const figures = new MutationObserver(() => {
    cancelAnimationFrame(settling);
    settling = requestAnimationFrame(moved);
  });
  if (plots) figures.observe(plots.querySelector(".rdmviz-plots") ?? plots, { subtree: true, childList: true, attributes: true, attributeFilter: ["width", "height", "transform", "viewBox"] });
  const sizes = new ResizeObserver(moved);
  sizes.observe(overlay);
  const moment = listening(scene, ["index"], () => {
    schedule();
    rest();
  });
  const stops = [
    stopRedrawing,
    moment,
    listening(scene, ["span", "steps", "marks", "bookmarks"], schedule),
    listening(model, ["values", "panels", "start", "stride"], reload),
    listening(model, ["computing"], busy),
    listening(time, ["min", "max"], schedule),
    () => figures.disconnect(),
    () => sizes.disconnect(),
    () => cancelAnimationFrame(settling),
    () => clearTimeout(resting),
  ];
  scene.on("rdmviz:brushing", brushing);
  stops.push(() => scene.off("rdmviz:brushing", brushing));
  busy();
  brushing();
  reload();
  return () => stops.forEach((stop) => stop());
}
