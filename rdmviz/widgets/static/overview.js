// Where the span of time on screen lies in the run: a strip with two handles; dragging between them shifts the span.

function renderOverview(scene) {
  const strip = element("div", "rdmviz-overview");
  const range = element("div", "rdmviz-overview-span");
  const here = element("div", "rdmviz-overview-here");
  const last = () => Math.max(1, scene.get("count") - 1);
  const rowAt = (event) => {
    const box = strip.getBoundingClientRect();
    return (last() * (event.clientX - box.left)) / box.width;
  };
  const set = (low, high) => zoomScene(scene, low, high);

  const handle = (end, label) => {
    const node = element("div", `rdmviz-handle rdmviz-handle-${end ? "end" : "start"}`);
    node.tabIndex = 0;
    node.setAttribute("role", "slider");
    node.setAttribute("aria-label", label);
    const move = (row) => {
      const [low, high] = spanRows(scene);
      if (end) set(low, Math.max(low + 1, row));
      else set(Math.min(high - 1, row), high);
    };
    dragging(node, (event) => move(rowAt(event)));
    node.addEventListener("keydown", (event) => {
      const row = spanRows(scene)[end];
      const stride = event.shiftKey ? 10 : 1;
      const target = { ArrowLeft: row - stride, ArrowDown: row - stride, ArrowRight: row + stride, ArrowUp: row + stride, Home: 0, End: last() }[event.key];
      if (target !== undefined) {
        event.preventDefault();
        move(Math.max(0, Math.min(last(), target)));
      }
      if (event.key !== "Tab") event.stopPropagation();
    });
    return node;
  };
  const handles = [handle(0, "First step of the span"), handle(1, "Last step of the span")];
  let held = null; // [row pressed, first row, last row]
  dragging(
    range,
    (event) => {
      const [low, high] = [held[1], held[2]];
      const shift = Math.max(-low, Math.min(last() - high, Math.round(rowAt(event) - held[0])));
      set(low + shift, high + shift);
    },
    (event) => (held = [rowAt(event), ...spanRows(scene)]),
  );
  strip.append(range, here, ...handles);

  const show = () => {
    const { steps } = sharedScene(scene);
    const rows = spanRows(scene);
    const share = rows.map((row) => (100 * row) / last());
    range.style.left = `${share[0]}%`;
    range.style.width = `${share[1] - share[0]}%`;
    handles.forEach((node, k) => {
      node.style.left = `${share[k]}%`;
      node.setAttribute("aria-valuemin", "0");
      node.setAttribute("aria-valuemax", String(last()));
      node.setAttribute("aria-valuenow", String(rows[k]));
      node.setAttribute("aria-valuetext", `step ${formatStep(steps[rows[k]])}`);
    });
    strip.classList.toggle("rdmviz-whole", rows[0] === 0 && rows[1] === last());
    move();
  };
  const move = () => (here.style.left = `${(100 * scene.get("index")) / last()}%`);
  show();
  const stops = [listening(scene, ["span", "steps", "count"], show), listening(scene, ["index"], move)];
  return { strip, stop: () => stops.forEach((stop) => stop()) };
}

// Call `move(event)` while the pointer, pressed on the node, is dragged.
function dragging(node, move, begin = () => {}) {
  node.style.touchAction = "none";
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    node.setPointerCapture(event.pointerId);
    begin(event);
    event.stopPropagation();
  });
  node.addEventListener("pointermove", (event) => {
    if (node.hasPointerCapture(event.pointerId)) move(event);
  });
}
