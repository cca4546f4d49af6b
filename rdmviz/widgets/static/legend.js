// The legend: what the colours of the datapoints mean.

function renderLegend(model, el, scene) {
  const legend = element("div", "rdmviz-view rdmviz-legend");
  el.append(legend);
  const { coloring } = sharedScene(scene);
  const show = () => coloring.legend(legend);
  show();
  return listening(scene, ["color_source", "color_kind", "color_title", "color_labels"], show);
}
