// The stage: everything that moves on every scrub. Sets data-step after drawing, so that what is shown can be asked for.

function figure(host, className, caption, help) {
  const box = element("figure", `rdmviz-figure ${className}`);
  const head = element("figcaption", "", caption);
  head.title = help;
  box.append(head);
  host.append(box);
  return box;
}

function renderStage(model, el, scene) {
  const stage = element("div", "rdmviz-stage");
  const pictures = element("div", "rdmviz-pictures");
  const legend = element("div", "rdmviz-legend");
  const details = element("div", "rdmviz-details");
  const note = element("div", "rdmviz-note");
  note.setAttribute("role", "status");
  stage.append(legend, pictures, note, details);
  el.append(stage);

  const map = new DatapointMap(
    figure(pictures, "rdmviz-figure-map", "Datapoints", "Each datapoint at (√λ₁ v₁, √λ₂ v₂): neighbours fluctuate together, opposite sides move against each other"),
    scene,
  );
  const matrix = new MatrixPicture(
    figure(pictures, "rdmviz-figure-matrix", "2RDM, covariance (colour: signed root)", "Covariance of the losses of pairs of datapoints in this window, ordered by group, then by similarity"),
  );
  const spectrum = new SpectrumPicture(
    figure(pictures, "rdmviz-figure-spectrum", "Spectrum", "Share of each eigenvalue in the trace: one tall bar is one collective mode. PR: participation ratio, the number of modes that take part"),
    scene,
  );
  const store = frameStore(scene);
  const coloring = new Coloring(scene);
  let steps = typedTrait(scene, "steps", Float64Array);
  let shown = typedTrait(scene, "shown", Uint32Array);
  let placeOf = new Map(Array.from(shown, (sample, k) => [sample, k]));

  const marked = () => {
    const marks = new Map();
    for (const sample of scene.get("selection")) if (placeOf.has(sample)) marks.set(placeOf.get(sample), false);
    for (const sample of scene.get("hovered")) if (placeOf.has(sample)) marks.set(placeOf.get(sample), true);
    return [...marks];
  };

  let drawn = null;
  // After a change of window or detrending the old picture is greyed until the new one is here.
  const waiting = (is) => {
    stage.classList.toggle("rdmviz-waiting", is);
    stage.setAttribute("aria-busy", String(is));
    if (is) {
      note.textContent = "Computing …";
      note.hidden = false;
    }
  };
  const [schedule, stopRedrawing] = redrawing(stage, (theme) => {
    const wanted = scene.get("index");
    const index = store.at(wanted) ? wanted : store.onTheWay(drawn, wanted);
    if (index === null) return; // the picture stays until a frame is here
    const frame = store.at(index);
    const marks = marked();
    map.draw(frame, theme, coloring, marks);
    matrix.draw(frame, theme, coloring, marks);
    spectrum.draw(frame, theme);
    note.textContent = scene.get("notes")[frame.state] ?? "";
    note.hidden = !note.textContent;
    drawn = index;
    waiting(false);
    stage.dataset.step = String(steps[index]);
  });

  const arrived = () => {
    if (drawn !== scene.get("index")) schedule(); // frames fetched ahead change nothing on the screen
  };

  const showDetails = () => {
    const cards = scene.get("cards");
    details.replaceChildren();
    if (!cards.length) {
      details.append(element("span", "rdmviz-hint", "Point at a datapoint to read what it is; click to keep it, shift-click for several."));
      return;
    }
    const table = element("table", "rdmviz-cards");
    const head = table.createTHead().insertRow();
    for (const [name] of cards[0]) head.append(element("th", "", name));
    const body = table.createTBody();
    for (const card of cards) {
      const row = body.insertRow();
      for (const [, value] of card) row.append(element("td", "", value));
    }
    details.append(table);
    const more = scene.get("more_cards");
    if (more > 0) details.append(element("span", "rdmviz-hint", `and ${more} more selected`));
  };

  const hover = (samples) => {
    if (samples.join() === scene.get("hovered").join()) return;
    scene.set("hovered", samples);
    scene.save_changes();
  };
  const at = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  map.canvas.addEventListener("pointermove", (event) => {
    const k = map.pick(...at(event));
    map.canvas.style.cursor = k < 0 ? "default" : "pointer";
    hover(k < 0 ? [] : [shown[k]]);
  });
  map.canvas.addEventListener("click", (event) => {
    const k = map.pick(...at(event));
    const kept = event.shiftKey ? scene.get("selection") : [];
    const sample = k < 0 ? null : shown[k];
    const selection = sample === null ? kept : kept.includes(sample) ? kept.filter((s) => s !== sample) : [...kept, sample];
    scene.set("selection", selection);
    scene.save_changes();
  });
  matrix.canvas.addEventListener("pointermove", (event) => {
    const pair = matrix.pick(...at(event));
    hover(pair ? [...new Set(pair.map((k) => shown[matrix.frame.order[k]]))] : []);
  });
  for (const canvas of [map.canvas, matrix.canvas]) canvas.addEventListener("pointerleave", () => hover([]));

  const recolor = () => {
    coloring.refresh();
    coloring.legend(legend);
    schedule();
  };
  const reload = () => {
    steps = typedTrait(scene, "steps", Float64Array);
    shown = typedTrait(scene, "shown", Uint32Array);
    placeOf = new Map(Array.from(shown, (sample, k) => [sample, k]));
    schedule();
  };
  const stops = [
    stopRedrawing,
    listening(scene, ["index", "selection", "hovered", "notes"], schedule),
    listening(scene, ["color_source", "color_kind", "color_codes", "color_title", "color_labels"], recolor),
    listening(scene, ["cards", "more_cards"], showDetails),
    listening(scene, ["steps", "shown"], reload),
    listening(scene, ["epoch"], () => {
      drawn = null;
      waiting(true);
    }),
    () => store.listeners.delete(arrived),
  ];
  store.listeners.add(arrived);
  recolor();
  showDetails();
  return () => stops.forEach((stop) => stop());
}
