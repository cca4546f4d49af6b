// The strongest datapoints of either end of a mode: who they are, and how much of the mode they have.

const STRIP_ENDS = ["positive end", "negative end"];

function renderStrip(model, el, scene) {
  const root = element("section", "rdmviz-strip");
  root.setAttribute("aria-label", "Strongest datapoints of a mode");
  const head = element("div", "rdmviz-strip-head");
  const title = element("span", "rdmviz-strip-title");
  const choice = element("select", "rdmviz-choice");
  choice.setAttribute("aria-label", "Mode whose strongest datapoints are listed");
  const hint = element("span", "rdmviz-strip-hint");
  head.append(title, choice, hint);
  const ends = element("div", "rdmviz-strip-ends");
  root.append(head, ends);
  el.append(root);
  title.textContent = "Strongest of";
  ["across", "up"].forEach((axis) => {
    const option = element("option");
    option.value = axis;
    choice.append(option);
  });

  const mode = () => scene.get("modes")[model.get("axis") === "up" ? 1 : 0];
  const question = () => (frameStore(scene).at(scene.get("index"))?.state > 0 ? null : { mode: mode() });
  const mark = () => {
    const [kept, pointed] = [scene.get("selection"), scene.get("hovered")];
    for (const button of ends.querySelectorAll("button")) {
      const sample = Number(button.dataset.sample);
      button.setAttribute("aria-pressed", String(kept.includes(sample)));
      button.classList.toggle("rdmviz-pointed", pointed.includes(sample));
    }
  };
  const row = (sample, loading, name, largest) => {
    const button = element("button");
    button.type = "button";
    button.dataset.sample = String(sample);
    const bar = element("span", "rdmviz-strip-bar");
    const filled = element("span");
    filled.style.width = `${(100 * Math.abs(loading)) / largest}%`;
    filled.style.background = loading > 0 ? "#d95f3b" : "#3b86c6";
    if (loading < 0) filled.style.marginLeft = "auto";
    bar.append(filled);
    const sign = loading > 0 ? "+" : "−";
    const words = name ? `${sample}: ${name}` : `datapoint ${sample}`;
    button.append(bar, element("span", "rdmviz-strip-number", `${sign}${Math.abs(loading) < 1e-3 ? formatNumber(Math.abs(loading)) : Math.abs(loading).toFixed(3)}`), element("span", "rdmviz-strip-name", words));
    button.title = `datapoint ${sample}${name ? ` (${name})` : ""}: ${formatShare(loading * loading)} of the mode; click selects, Shift-click adds`;
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => hoverScene(scene, [sample]));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => hoverScene(scene, []));
    button.addEventListener("click", (event) => {
      const kept = scene.get("selection");
      const others = kept.filter((s) => s !== sample);
      if (event.shiftKey) selectScene(scene, others.length < kept.length ? others : [...kept, sample]);
      else selectScene(scene, kept.length === 1 && kept[0] === sample ? [] : [sample]);
    });
    return button;
  };
  let shownKey = null;
  const show = () => {
    const modes = scene.get("modes");
    [...choice.options].forEach((option, k) => (option.textContent = `mode ${modes[k]}, ${["across", "up"][k]} the map`));
    choice.value = model.get("axis");
    const found = rest.now();
    const none = !question();
    root.classList.toggle("rdmviz-stale", !found && !none);
    if (none) {
      [shownKey, hint.textContent] = [null, "no modes in this window"];
      ends.replaceChildren();
      delete root.dataset.step;
    }
    if (!found || found.key === shownKey) return;
    shownKey = found.key;
    const focused = ends.contains(document.activeElement) ? document.activeElement.dataset.sample : null;
    const largest = Math.max(...found.loadings.map(Math.abs), 1e-300);
    const share = found.loadings.reduce((sum, v) => sum + v * v, 0);
    hint.textContent = found.samples.length ? `these have ${formatShare(share)} of the mode; both ends are equal in kind: the sign is no direction of time` : "this window has fewer modes";
    const lists = [1, -1].map((sign, k) => {
      const list = element("ul", "rdmviz-strip-end");
      list.setAttribute("aria-label", STRIP_ENDS[k]);
      found.samples.forEach((sample, at) => {
        if (Math.sign(found.loadings[at]) !== sign) return;
        const item = element("li");
        item.append(row(sample, found.loadings[at], found.names[at], largest));
        list.append(item);
      });
      return list;
    });
    ends.replaceChildren(...lists);
    if (focused) ends.querySelector(`[data-sample="${focused}"]`)?.focus();
    mark();
    root.dataset.step = String(sharedScene(scene).steps[found.row]);
  };
  sharedScene(scene);
  const rest = new AtRest(scene, "strip", question, () => show(), ["modes"]);
  choice.addEventListener("change", () => {
    model.set("axis", choice.value);
    model.save_changes();
    rest.wait();
    show();
  });
  const stops = [
    listening(scene, ["modes", "index", "epoch"], () => show()),
    listening(scene, ["selection", "hovered"], mark),
    listening(model, ["axis"], () => {
      rest.wait();
      show();
    }),
    () => rest.stop(),
  ];
  show();
  return () => stops.forEach((stop) => stop());
}
