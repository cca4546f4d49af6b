// The legend: what the colours of the datapoints mean.

function renderLegend(model, el, scene) {
  const legend = element("div", "rdmviz-view rdmviz-legend");
  el.append(legend);
  const { coloring } = sharedScene(scene);
  const store = frameStore(scene);
  // Of the groups only those that exist at the step are seen; the others keep their places, so that nothing moves.
  let seen = null;
  const showGroups = () => {
    const group = store.at(scene.get("index"))?.group;
    if (coloring.source !== "group" || !group) return;
    const count = 1 + group.reduce((most, code) => Math.max(most, code), 0);
    if (count === seen) return;
    seen = count;
    legend.querySelectorAll(".rdmviz-legend-entry").forEach((entry, k) => entry.classList.toggle("rdmviz-legend-absent", k >= count));
  };
  const show = () => {
    coloring.legend(legend);
    seen = null;
    showGroups();
  };
  show();
  store.listeners.add(showGroups);
  const stops = [
    listening(scene, ["color_source", "color_kind", "color_title", "color_labels"], show),
    listening(scene, ["index", "epoch"], showGroups),
    () => store.listeners.delete(showGroups),
  ];
  return () => stops.forEach((stop) => stop());
}
