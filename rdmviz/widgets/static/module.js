// The one entry point: a view draws the part of the scene that its model names.

const PARTS = {
  cursor: renderCursor,
  datapoints: renderDatapoints,
  keep: renderKeep,
  legend: renderLegend,
  map: renderMap,
  matrix: renderMatrix,
  spectrum: renderSpectrum,
  status: renderStatus,
  time: renderTime,
};

export default {
  async render({ model, el }) {
    const scene = await sceneOf(model);
    return PARTS[model.get("part")](model, el, scene);
  },
};
