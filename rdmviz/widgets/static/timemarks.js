// Marks on the track of time: transitions, alarms and bookmarks, told apart by shape as well as by colour.

const MARK_KINDS = {
  transition: { one: "transition", many: "transitions", path: "M6 0 12 6 6 12 0 6Z", light: "#8f3f78", dark: "#e39ac6" },
  alarm: { one: "alarm", many: "alarms", path: "M6 0.5 12 11.5 0 11.5Z", light: "#b34700", dark: "#ff9a55" },
  bookmark: { one: "bookmark", many: "bookmarks", path: "M2 0H10V12L6 8.6 2 12Z", light: "#1669a3", dark: "#6cc0f5" },
};
const MOST_MARKS = 300;

function markShape(kind) {
  const svg = svgElement("svg", { viewBox: "0 0 12 12", class: `rdmviz-shape rdmviz-shape-${kind}`, "aria-hidden": "true" });
  svg.append(svgElement("path", { d: MARK_KINDS[kind].path }));
  return svg;
}

// All marks of a scene in order of time: step, kind, text.
function allMarks(scene) {
  const bookmarks = scene.get("bookmarks").map(({ step, note }) => ({ step, kind: "bookmark", text: note }));
  return [...scene.get("marks"), ...bookmarks].filter(({ kind }) => kind in MARK_KINDS).sort((a, b) => a.step - b.step);
}

// A track of marks, one stop of the Tab key: arrows and [ ] go from mark to mark. `place(row)` is the share of the track's width.
function renderMarks(scene, place) {
  const root = element("div", "rdmviz-marks");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Marks in time");
  const tip = element("div", "rdmviz-tip");
  tip.setAttribute("role", "status");
  tip.hidden = true;
  const legend = element("div", "rdmviz-marks-legend");
  let current = 0;
  const buttons = () => [...root.querySelectorAll("button")];

  const say = (button) => {
    tip.textContent = button?.getAttribute("aria-label") ?? "";
    tip.hidden = !button;
    if (!button) return;
    const share = parseFloat(button.style.left) / 100;
    tip.style.left = `${100 * share}%`;
    tip.style.transform = `translateX(${-100 * share}%)`; // never beyond the ends of the track
  };
  const focusOn = (k) => {
    const all = buttons();
    if (!all.length) return;
    current = Math.max(0, Math.min(all.length - 1, k));
    all.forEach((button, j) => (button.tabIndex = j === current ? 0 : -1));
    all[current].focus();
    moveScene(scene, Number(all[current].dataset.row));
  };

  const show = () => {
    const { steps } = sharedScene(scene);
    const [low, high] = spanRows(scene);
    const marks = allMarks(scene);
    const inside = marks.map((mark) => ({ ...mark, row: nearestRow(steps, mark.step) })).filter(({ row }) => row >= low && row <= high);
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const every = Math.ceil(inside.length / MOST_MARKS);
    const drawn = inside.filter((mark, k) => k % every === 0);
    current = Math.min(current, Math.max(0, drawn.length - 1));
    const nodes = drawn.map(({ step, kind, text, row }, k) => {
      const button = element("button", `rdmviz-mark rdmviz-mark-${kind}`);
      button.type = "button";
      button.dataset.row = String(row);
      button.dataset.key = `${kind} ${step} ${text ?? ""}`; // several bookmarks may be at one step
      button.style.left = `${100 * place(row)}%`;
      button.tabIndex = k === current ? 0 : -1;
      const words = `${MARK_KINDS[kind].one} at step ${formatStep(step)}`;
      button.setAttribute("aria-label", text ? `${words}: ${text}` : words);
      button.append(markShape(kind));
      button.addEventListener("click", () => focusOn(k));
      button.addEventListener("pointerenter", () => say(button));
      button.addEventListener("pointerleave", () => say(null));
      button.addEventListener("focus", () => say(button));
      button.addEventListener("blur", () => say(null));
      return button;
    });
    root.replaceChildren(...nodes, tip);
    root.classList.toggle("rdmviz-marks-empty", !marks.length);
    if (focused) nodes.find((node) => node.dataset.key === focused)?.focus();
    else say(null);
    legend.replaceChildren(
      ...Object.keys(MARK_KINDS).flatMap((kind) => {
        const count = marks.filter((mark) => mark.kind === kind).length;
        if (!count) return [];
        const entry = element("span", "rdmviz-marks-entry");
        const { one, many } = MARK_KINDS[kind];
        entry.append(markShape(kind), element("span", "", count === 1 ? one : `${formatStep(count)} ${many}`));
        return [entry];
      }),
    );
    if (inside.length > MOST_MARKS) legend.append(element("span", "", `${formatStep(nodes.length)} of ${formatStep(inside.length)} on the track`));
    legend.hidden = !legend.childElementCount;
  };
  root.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1, "[": -1, "]": 1 }[event.key];
    const end = { Home: 0, End: Infinity }[event.key];
    if (way || end !== undefined) {
      event.preventDefault();
      focusOn(way ? buttons().indexOf(document.activeElement) + way : end);
    } else if (event.key !== "Enter" && event.key !== " ") timeKey(scene, event);
    if (event.key !== "Tab") event.stopPropagation();
  });
  show();
  return { root, legend, stop: listening(scene, ["marks", "bookmarks", "span", "steps"], show) };
}
