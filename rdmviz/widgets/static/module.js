// The one entry point: a view draws the part of the scene that its model names.

const PARTS = { stage: renderStage, time: renderTime, cursor: renderCursor };

export default {
  async render({ model, el }) {
    const scene = await sceneOf(model);
    return PARTS[model.get("part")](model, el, scene);
  },
};
