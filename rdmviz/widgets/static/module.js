// The one entry point: a view draws the part of the scene that its model names.

const PARTS = {
  comparison_bar: renderComparisonBar,
  comparison_cursor: renderComparisonCursor,
  comparison_heading: renderComparisonHeading,
  cursor: renderCursor,
  curves_head: renderCurvesHead,
  datapoints: renderDatapoints,
  keep: renderKeep,
  legend: renderLegend,
  lens: renderLens,
  map: renderMap,
  matrix: renderMatrix,
  spectrum: renderSpectrum,
  strip: renderStrip,
  status: renderStatus,
  time: renderTime,
};

export default {
  async render({ model, el }) {
    const scene = await referredModel(model, "scene");
    const stops = [PARTS[model.get("part")](model, el, scene), owningKeys()];
    return () => stops.forEach((stop) => stop());
  },
};
