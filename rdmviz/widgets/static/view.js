// The frame of every picture: a titled figure with its explanation, drawn from the frame at the scene's row. Sets
// data-step after drawing, so that what is shown can be asked for.

const SHARED_BY_ALL = ["index", "selection", "hovered", "notes", "color_source", "color_kind", "color_codes"];

const WAITING_MS = 150;

// `make(figure)` returns the picture: an object with draw(frame, theme, coloring, marks, row); `traits` are further traits it draws,
// and `told(frame)` is what to say where it has nothing to draw.
function pictureView(el, scene, name, title, make, traits = [], told = (frame) => scene.get("notes")[frame.state] ?? "") {
  const root = element("div", `rdmviz-view rdmviz-${name}-view`);
  const figure = element("figure", "rdmviz-figure");
  const head = element("figcaption");
  // Among other pictures the explanation stands below them all, else below its own.
  const explain = explainButton(name, { append: (panel) => (el.closest(".rdmviz-pictures") ? el.after(panel) : el.append(panel)) });
  head.append(element("span", "rdmviz-title", title), explain);
  const note = element("div", "rdmviz-note");
  note.setAttribute("role", "status");
  note.hidden = true;
  figure.append(head);
  root.append(figure, note);
  el.append(root);

  const shared = sharedScene(scene);
  const store = frameStore(scene);
  const picture = make(figure);
  let [drawn, greying] = [null, 0];
  // After a change of window or detrending the old picture is greyed until the new one is here.
  const waiting = (is) => {
    root.setAttribute("aria-busy", String(is));
    clearTimeout(greying);
    if (!is) root.classList.remove("rdmviz-waiting");
    else greying = setTimeout(showWaiting, WAITING_MS); // what comes at once does not flash
  };
  const showWaiting = () => {
    root.classList.add("rdmviz-waiting");
    note.textContent = "Computing …";
    note.hidden = false;
  };
  const [schedule, stopRedrawing] = redrawing(root, (theme) => {
    const wanted = scene.get("index");
    const index = store.at(wanted) ? wanted : store.onTheWay(drawn, wanted);
    if (index === null) return; // the picture stays until a frame is here
    const frame = store.at(index);
    picture.draw(frame, theme, shared.coloring, shared.marked(), index);
    note.textContent = told(frame);
    note.hidden = !note.textContent;
    drawn = index;
    waiting(false);
    root.dataset.step = String(shared.steps[index]);
  });
  const arrived = () => {
    if (drawn !== scene.get("index")) schedule(); // frames fetched ahead change nothing on the screen
  };
  store.listeners.add(arrived);
  const stops = [
    stopRedrawing,
    listening(scene, [...SHARED_BY_ALL, "steps", "shown", ...traits], schedule),
    listening(scene, ["epoch"], () => {
      drawn = null;
      waiting(true);
    }),
    () => store.listeners.delete(arrived),
    () => clearTimeout(greying),
    () => picture.stop?.(),
    () => explain.getAttribute("aria-expanded") === "true" && explain.click(),
  ];
  schedule();
  return { root, figure, picture, schedule, stop: () => stops.forEach((stop) => stop()) };
}
