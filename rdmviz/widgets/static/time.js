// The time bar: Play, marks above a native range input that covers the span, an overview of the run below, the step in words.

const SPEEDS = [["¼×", 15], ["½×", 30], ["1×", 60], ["2×", 120], ["4×", 240]];
const THUMB = 16; // pixels: the native thumb's centre stays half of that inside the track

function renderTime(model, el, scene) {
  const bar = element("div", "rdmviz-view rdmviz-time");
  const play = element("button", "rdmviz-play");
  play.type = "button";
  const speed = element("select", "rdmviz-speed");
  speed.setAttribute("aria-label", "Speed of play");
  speed.title = "Rows per second while playing";
  for (const [label, rows] of SPEEDS) {
    const option = element("option", "", label);
    option.value = String(rows);
    speed.append(option);
  }
  const loop = element("button", "rdmviz-loop", "⟳");
  loop.type = "button";
  loop.setAttribute("aria-label", "Loop");
  loop.title = "Start over at the end of the span";
  const slider = element("input", "rdmviz-step");
  slider.type = "range";
  slider.setAttribute("aria-label", "Recorded step");
  slider.title = TIME_KEYS_HELP;
  const readout = element("output", "rdmviz-readout");
  const buttons = element("div", "rdmviz-time-buttons");
  buttons.append(play, speed, loop);
  const rowsOf = () => spanRows(scene);
  const marks = renderMarks(scene, (row) => {
    const [low, high] = rowsOf();
    return (row - low) / (high - low || 1);
  });
  const overview = renderOverview(scene);
  const ends = renderEnds(scene);
  const track = element("div", "rdmviz-track");
  track.append(marks.root, slider, overview.strip);
  track.style.setProperty("--rdmviz-thumb", `${THUMB}px`);
  const side = element("div", "rdmviz-time-side");
  side.append(readout, ends.root);
  bar.append(buttons, track, side, marks.legend);
  el.append(bar);

  const show = () => {
    const { steps } = sharedScene(scene);
    const index = scene.get("index");
    const [low, high] = rowsOf();
    slider.min = String(low);
    slider.max = String(high);
    slider.value = String(index);
    const words = `step ${formatStep(steps[index])}`;
    slider.setAttribute("aria-valuetext", words);
    readout.textContent = words;
    readout.style.minWidth = `${formatStep(steps[steps.length - 1]).length + 5}ch`;
  };
  for (const kind of ["input", "change"]) {
    slider.addEventListener(kind, () => {
      if (Number(slider.value) !== scene.get("index")) moveScene(scene, Number(slider.value));
    });
  }
  listenToTimeKeys(scene, slider);

  let ticking = 0;
  let [started, from] = [0, 0];
  const tick = (now) => {
    if (!scene.get("playing")) return;
    const [low, high] = rowsOf();
    started ||= now;
    let target = Math.round(from + ((now - started) / 1000) * scene.get("speed"));
    if (target > high && scene.get("loop")) {
      [started, from, target] = [now, low, low];
    }
    target = Math.max(low, Math.min(high, target));
    if (target !== scene.get("index")) moveScene(scene, target);
    if (target >= high && !scene.get("loop")) chooseInScene(scene, "playing", false);
    else ticking = requestAnimationFrame(tick);
  };
  const restart = () => {
    cancelAnimationFrame(ticking);
    const playing = scene.get("playing");
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    play.title = playing ? "Pause" : "Play through the span";
    speed.value = String(scene.get("speed"));
    loop.setAttribute("aria-pressed", String(scene.get("loop")));
    if (!playing) return;
    const [low, high] = rowsOf();
    if (scene.get("index") >= high) moveScene(scene, Math.max(low, Math.min(scene.get("first"), high)));
    [started, from] = [0, scene.get("index")];
    ticking = requestAnimationFrame(tick);
  };
  play.addEventListener("click", () => chooseInScene(scene, "playing", !scene.get("playing")));
  loop.addEventListener("click", () => chooseInScene(scene, "loop", !scene.get("loop")));
  speed.addEventListener("change", () => chooseInScene(scene, "speed", Number(speed.value)));

  const stops = [
    listening(scene, ["index", "span", "steps", "count"], show),
    listening(scene, ["playing", "loop", "speed", "span"], restart),
    () => cancelAnimationFrame(ticking),
    marks.stop,
    overview.stop,
    ends.stop,
  ];
  show();
  restart();
  return () => stops.forEach((stop) => stop());
}

// The ends of the span as numbers to type, and the way back to the whole run.
function renderEnds(scene) {
  const root = element("div", "rdmviz-ends");
  const field = (end, label) => {
    const input = element("input", "rdmviz-end");
    input.type = "text";
    input.inputMode = "numeric";
    input.setAttribute("aria-label", label);
    input.title = `${label}: a number, then Enter`;
    const commit = () => {
      const step = Number(input.value.replace(/[\s,]/g, ""));
      const { steps } = sharedScene(scene);
      const [low, high] = spanRows(scene);
      const row = nearestRow(steps, step);
      const sound = input.value.trim() !== "" && Number.isFinite(step) && (end ? row > low : row < high);
      input.setAttribute("aria-invalid", String(!sound));
      input.title = sound ? `${label}: a number, then Enter` : `A step ${end ? "after" : "before"} ${formatStep(steps[end ? low : high])} is expected`;
      if (sound && row !== (end ? high : low)) zoomScene(scene, end ? low : row, end ? row : high);
      else if (sound) show();
    };
    input.addEventListener("change", commit);
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Escape") show();
    });
    return input;
  };
  const fields = [field(0, "From step"), field(1, "To step")];
  const whole = element("button", "rdmviz-whole-run", "whole run");
  whole.type = "button";
  whole.title = "Show the whole run again";
  whole.addEventListener("click", () => zoomScene(scene, 0, scene.get("count") - 1));
  root.append(fields[0], element("span", "", "to"), fields[1], whole);
  const show = () => {
    const { steps } = sharedScene(scene);
    const rows = spanRows(scene);
    const width = `${formatStep(steps[steps.length - 1]).length + 2}ch`;
    fields.forEach((input, k) => {
      input.value = formatStep(steps[rows[k]]);
      input.style.width = width;
      input.setAttribute("aria-invalid", "false");
    });
    whole.disabled = rows[0] === 0 && rows[1] === steps.length - 1;
  };
  show();
  return { root, stop: listening(scene, ["span", "steps"], show) };
}
