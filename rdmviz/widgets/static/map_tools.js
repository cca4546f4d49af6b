// The controls of the map: which modes are on its axes, what drags do, zoom, plane, sizes and trails.

const TRAIL_LENGTHS = [0, 10, 30, 100];

function mapButton(text, name, title, onClick) {
  const button = element("button", "rdmviz-tool", text);
  button.type = "button";
  button.setAttribute("aria-label", name);
  button.title = title;
  button.addEventListener("click", onClick);
  return button;
}

function mapSelect(name, title, options, onChange) {
  const select = element("select", "rdmviz-tool");
  select.setAttribute("aria-label", name);
  select.title = title;
  for (const [value, text] of options) {
    const option = element("option", "", text);
    option.value = String(value);
    select.append(option);
  }
  select.addEventListener("change", () => onChange(select.value));
  return select;
}

// The row of tools over the map; `act` has zoom(factor), reset() and setTool(name).
function mapToolbar(scene, act) {
  const bar = element("div", "rdmviz-tools");
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Tools of the map");
  const pan = mapButton("✥", "Pan", "Drag moves the map (also: space or the middle button); off: drag draws a lasso", () => act.setTool(act.tool() === "pan" ? "lasso" : "pan"));
  const plane = mapButton("", "", "", () => {
    const fixed = scene.get("plane") === "fixed";
    if (!fixed) scene.set("plane_step", act.step());
    chooseInScene(scene, "plane", fixed ? "moving" : "fixed");
  });
  const sizing = mapSelect("Size of the points", "Size of the points", [["equal", "equal size"], ["loading", "size: loading"]], (value) => chooseInScene(scene, "sizing", value));
  const trails = mapSelect(
    "Trails",
    "Where selected and pointed-at datapoints came from, over so many rows. Unless the plane is fixed, each place is in that row's own modes",
    TRAIL_LENGTHS.map((rows) => [rows, rows ? `trail ${rows}` : "no trail"]),
    (value) => chooseInScene(scene, "trails", Number(value)),
  );
  const beside = mapSelect("Beside the map", "Another picture of the same datapoints beside the map", [], (value) => chooseInScene(scene, "lens", value));
  bar.append(
    pan,
    mapButton("+", "Zoom in", "Zoom in (+, or the wheel once the map has the focus)", () => act.zoom(1.5)),
    mapButton("−", "Zoom out", "Zoom out (−)", () => act.zoom(1 / 1.5)),
    mapButton("⤢", "Reset the zoom", "Show the whole map (0)", () => act.reset()),
    plane,
    sizing,
    trails,
    beside,
  );
  const show = () => {
    const fixed = scene.get("plane") === "fixed";
    const step = scene.get("plane_step");
    pan.setAttribute("aria-pressed", String(act.tool() === "pan"));
    plane.textContent = fixed && step !== null ? `plane of step ${formatStep(step)}` : "fix plane";
    plane.setAttribute("aria-pressed", String(fixed));
    plane.setAttribute("aria-label", fixed ? `Plane of step ${formatStep(step)}, fixed` : "Fix the plane");
    plane.title = fixed
      ? "The map keeps the plane of that step's modes and one scale throughout; press for each step's own modes"
      : "Keep the plane of this step's modes, and one scale, while time moves";
    sizing.value = scene.get("sizing");
    const rows = scene.get("trails");
    if (!TRAIL_LENGTHS.includes(rows) && !trails.querySelector(`option[value="${rows}"]`)) {
      const option = element("option", "", `trail ${rows}`);
      option.value = String(rows);
      trails.append(option);
    }
    trails.value = String(rows);
    const lenses = scene.get("lenses");
    beside.hidden = !lenses.length;
    beside.replaceChildren(
      ...[["", "map alone"], ...lenses.map(([name, title]) => [name, `with ${title}`])].map(([name, text]) => {
        const option = element("option", "", text);
        option.value = name;
        return option;
      }),
    );
    beside.value = scene.get("lens");
  };
  const stop = listening(scene, ["plane", "plane_step", "sizing", "trails", "lens", "lenses"], show);
  show();
  return { bar, show, stop };
}

// A selector of the mode at each axis; choosing the other axis's mode swaps them.
function modeSelectors(scene, host) {
  const selects = ["across", "up"].map((way, axis) => {
    const choose = (value) => {
      const modes = [...scene.get("modes")];
      const old = modes[axis];
      modes[axis] = Number(value);
      if (modes[1 - axis] === modes[axis]) modes[1 - axis] = old;
      chooseInScene(scene, "modes", modes);
    };
    const select = mapSelect(`Mode ${way}`, `Which mode of the 2RDM runs ${way}`, [], choose);
    select.classList.add(`rdmviz-mode-${way}`);
    host.append(select);
    return select;
  });
  const show = () => {
    const most = Math.max(scene.get("most_modes"), ...scene.get("modes"));
    selects.forEach((select, axis) => {
      if (select.length !== most) {
        select.replaceChildren();
        for (let mode = 1; mode <= most; mode++) {
          const option = element("option", "", `mode ${mode}`);
          option.value = String(mode);
          select.append(option);
        }
      }
      select.value = String(scene.get("modes")[axis]);
    });
  };
  show();
  return listening(scene, ["modes", "most_modes"], show);
}
