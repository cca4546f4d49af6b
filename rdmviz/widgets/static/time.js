// The time bar: a native range input (arrow keys, Page Up/Down, Home/End come with it), Play, and the step in words.

const SPEEDS = [["¼×", 15], ["½×", 30], ["1×", 60], ["2×", 120], ["4×", 240]];

function renderTime(model, el, scene) {
  const bar = element("div", "rdmviz-time");
  const play = element("button", "rdmviz-play");
  play.type = "button";
  const slider = element("input", "rdmviz-step");
  slider.type = "range";
  slider.setAttribute("aria-label", "Recorded step");
  const readout = element("output", "rdmviz-readout");
  const speed = element("select", "rdmviz-speed");
  speed.setAttribute("aria-label", "Speed of play");
  speed.title = "Rows per second while playing";
  SPEEDS.forEach(([label, rows]) => {
    const option = element("option", "", label);
    option.value = String(rows);
    option.selected = label === "1×";
    speed.append(option);
  });
  bar.append(play, slider, readout, speed);
  el.append(bar);

  let steps = typedTrait(scene, "steps", Float64Array);
  const last = () => scene.get("count") - 1;
  const moveTo = (index) => {
    const target = Math.max(0, Math.min(last(), Math.round(index)));
    if (target === scene.get("index")) return;
    moveScene(scene, target);
  };
  const show = () => {
    const index = scene.get("index");
    slider.min = "0";
    slider.max = String(last());
    slider.value = String(index);
    slider.setAttribute("aria-valuetext", `step ${formatStep(steps[index])}`);
    readout.textContent = `step ${formatStep(steps[index])}`;
    readout.style.minWidth = `${formatStep(steps[last()]).length + 5}ch`;
  };

  for (const kind of ["input", "change"]) slider.addEventListener(kind, () => moveTo(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    event.stopPropagation(); // the notebook has its own meaning for these keys
    if (event.key === " ") {
      event.preventDefault();
      setPlaying(!scene.get("playing"));
    } else if (way && event.shiftKey) {
      event.preventDefault();
      moveTo(scene.get("index") + 10 * way);
    }
  });

  let ticking = 0;
  let [started, from] = [0, 0];
  const tick = (now) => {
    if (!scene.get("playing")) return;
    started ||= now;
    const target = from + ((now - started) / 1000) * Number(speed.value);
    moveTo(target);
    if (target >= last()) setPlaying(false);
    else ticking = requestAnimationFrame(tick);
  };
  const setPlaying = (playing) => {
    scene.set("playing", playing);
    scene.save_changes();
  };
  const restart = () => {
    cancelAnimationFrame(ticking);
    const playing = scene.get("playing");
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    play.title = playing ? "Pause" : "Play through training time";
    if (!playing) return;
    if (scene.get("index") >= last()) moveTo(scene.get("first"));
    [started, from] = [0, scene.get("index")];
    ticking = requestAnimationFrame(tick);
  };
  play.addEventListener("click", () => setPlaying(!scene.get("playing")));
  speed.addEventListener("change", restart);

  const reload = () => {
    steps = typedTrait(scene, "steps", Float64Array);
    show();
  };
  const stops = [
    listening(scene, ["index"], show),
    listening(scene, ["playing"], restart),
    listening(scene, ["steps", "count"], reload),
    () => cancelAnimationFrame(ticking),
  ];
  show();
  restart();
  return () => stops.forEach((stop) => stop());
}
