// The controls of the curves: presets, the list to choose from, axis, whose mean losses, zoom.

const CURVE_FAMILIES = { spectral: "Spectrum of the 2RDM", gaussian: "Gaussian 2RDM, at snapshots", plain: "Plain baselines", recorded: "Recorded metrics" };
const CURVE_SCALES = { auto: "auto", log: "log", linear: "linear" };
const LOSS_CURVES = { coloring: "colours", groups: "groups here", selection: "selection", mean: "all" };

function renderCurvesHead(model, el, scene) {
  const root = element("div", "rdmviz-view rdmviz-curves-head");
  const first = element("div", "rdmviz-curves-row");
  const title = element("span", "rdmviz-curves-title", "Curves");
  const presets = element("span", "rdmviz-presets");
  presets.setAttribute("role", "group");
  presets.setAttribute("aria-label", "Presets of curves");
  const chooser = element("details", "rdmviz-chooser");
  const summary = element("summary", "", "Choose …");
  summary.title = "Choose curves from the list";
  const list = element("div", "rdmviz-chooser-list");
  chooser.append(summary, list);
  const explain = explainButton("curves", { append: (panel) => (el.closest(".rdmviz-curves-column") ?? root).append(panel) });
  first.append(title, explain, presets, chooser);
  const second = element("div", "rdmviz-curves-row");
  const scale = choiceOf("Axis", CURVE_SCALES, (value) => chooseInScene(scene, "curve_scale", value));
  const losses = choiceOf("Mean loss of", LOSS_CURVES, (value) => chooseInScene(scene, "loss_curves", value));
  const brush = element("button", "rdmviz-brush", "Zoom");
  brush.type = "button";
  brush.title = "While on, dragging over the curves zooms to a range of time (otherwise: Shift and drag)";
  const whole = element("button", "", "Whole run");
  whole.type = "button";
  whole.title = "Show the whole run again (double click on the curves, or 0)";
  second.append(scale.label, losses.label, brush, whole);
  root.append(first, second);
  el.append(root);

  brush.addEventListener("click", () => {
    scene.rdmvizBrushing = !scene.rdmvizBrushing;
    scene.trigger("rdmviz:brushing");
  });
  whole.addEventListener("click", () => zoomScene(scene, 0, scene.get("count") - 1));
  const toggle = (name, on) => {
    const names = model.get("drawn");
    if (!on) return names.length > 1 ? names.filter((other) => other !== name) : names;
    const place = names[names.length - 1] === "mean_loss" ? names.length - 1 : names.length; // the losses stay below
    return names.toSpliced(place, 0, name);
  };
  chooser.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      chooser.open = false;
      summary.focus();
    }
    if (event.key !== "Tab") event.stopPropagation();
  });

  const build = () => {
    presets.replaceChildren(
      ...model.get("presets").map(([label, names]) => {
        const button = element("button", "rdmviz-preset", label);
        button.type = "button";
        button.dataset.names = JSON.stringify(names);
        button.addEventListener("click", () => chooseInScene(scene, "signals", names));
        return button;
      }),
    );
    list.replaceChildren(
      ...Object.entries(CURVE_FAMILIES).flatMap(([family, words]) => {
        const offered = model.get("offered").filter((signal) => signal.family === family);
        if (!offered.length) return [];
        const group = element("fieldset", "rdmviz-family");
        group.append(element("legend", "", words));
        for (const { name, title, units } of offered) {
          const label = element("label", "");
          const box = element("input");
          box.type = "checkbox";
          box.dataset.name = name;
          box.addEventListener("change", () => chooseInScene(scene, "signals", toggle(name, box.checked)));
          label.append(box, element("span", "", title));
          if (units) label.append(element("span", "rdmviz-units", ` ${units}`));
          group.append(label);
        }
        return [group];
      }),
    );
    show();
  };
  const show = () => {
    const drawn = model.get("drawn");
    for (const button of presets.children) button.setAttribute("aria-pressed", String(button.dataset.names === JSON.stringify(drawn)));
    for (const box of list.querySelectorAll("input")) {
      box.checked = drawn.includes(box.dataset.name);
      box.disabled = box.checked ? drawn.length === 1 : drawn.length >= model.get("most");
    }
    summary.textContent = `Choose ${drawn.length}/${model.get("most")}`;
    scale.select.value = scene.get("curve_scale");
    losses.select.value = scene.get("loss_curves");
    const [low, high] = spanRows(scene);
    whole.disabled = low === 0 && high === scene.get("count") - 1;
  };
  const brushing = () => brush.setAttribute("aria-pressed", String(Boolean(scene.rdmvizBrushing)));
  const outside = (event) => {
    if (!chooser.contains(event.target)) chooser.open = false;
  };
  document.addEventListener("pointerdown", outside);
  scene.on("rdmviz:brushing", brushing);
  const stops = [
    listening(model, ["offered", "presets"], build),
    listening(model, ["drawn"], show),
    listening(scene, ["curve_scale", "loss_curves", "span", "steps"], show),
    () => scene.off("rdmviz:brushing", brushing),
    () => document.removeEventListener("pointerdown", outside),
  ];
  build();
  brushing();
  return () => stops.forEach((stop) => stop());
}

// A labelled native select over { value: words }.
function choiceOf(words, options, choose) {
  const label = element("label", "rdmviz-curves-choice", words);
  const select = element("select");
  for (const [value, text] of Object.entries(options)) {
    const option = element("option", "", text);
    option.value = value;
    select.append(option);
  }
  select.addEventListener("change", () => choose(select.value));
  select.addEventListener("keydown", (event) => event.stopPropagation());
  label.append(select);
  return { label, select };
}
