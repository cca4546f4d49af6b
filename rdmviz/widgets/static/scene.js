// What all views of one scene share in the browser: steps, shown datapoints, colours, and the ways to move, point and select.

class SharedScene {
  constructor(scene) {
    this.scene = scene;
    this.coloring = new Coloring(scene);
    this.reload();
    scene.on("change:steps change:shown", () => this.reload());
    scene.on("change:color_source change:color_kind change:color_codes", () => this.coloring.refresh());
  }

  reload() {
    this.steps = typedTrait(this.scene, "steps", Float64Array);
    this.shown = typedTrait(this.scene, "shown", Uint32Array);
    this.placeOf = new Map(Array.from(this.shown, (sample, k) => [sample, k]));
  }

  // Selected and pointed-at datapoints as [place among the shown, whether pointed at].
  marked() {
    const marks = new Map();
    for (const sample of this.scene.get("selection")) if (this.placeOf.has(sample)) marks.set(this.placeOf.get(sample), false);
    for (const sample of this.scene.get("hovered")) if (this.placeOf.has(sample)) marks.set(this.placeOf.get(sample), true);
    return [...marks];
  }
}

// Views subscribe after this is made, so what is shared is renewed before any of them draws.
function sharedScene(scene) {
  scene.rdmvizShared ??= new SharedScene(scene);
  return scene.rdmvizShared;
}

// A trait that holds another model, such as the scene; the host passes its reference as a string.
async function referredModel(model, trait) {
  const reference = model.get(trait);
  return typeof reference === "string" ? model.widget_manager.get_model(reference.slice("IPY_MODEL_".length)) : reference;
}

const KERNEL_MS = 60;

// Move to a row: every view here follows at once, the kernel hears of it a few times a second. A row outside the span widens it.
function moveScene(scene, index) {
  const step = sharedScene(scene).steps[index];
  const [low, high] = scene.get("span");
  if (step < low || step > high) scene.set("span", [Math.min(low, step), Math.max(high, step)]);
  scene.set("index", index);
  tellKernel(scene);
}

// Zoom all time axes to the rows between two; the row on screen moves in.
function zoomScene(scene, one, other) {
  const { steps } = sharedScene(scene);
  const last = steps.length - 1;
  const inside = (row) => Math.max(0, Math.min(last, Math.round(row)));
  let [low, high] = [inside(Math.min(one, other)), inside(Math.max(one, other))];
  if (low === high) [low, high] = high < last ? [low, high + 1] : [Math.max(0, low - 1), high];
  scene.set({ span: [steps[low], steps[high]], index: Math.max(low, Math.min(high, scene.get("index"))) });
  tellKernel(scene);
}

// First and last row of the span.
function spanRows(scene) {
  const { steps } = sharedScene(scene);
  const [low, high] = scene.get("span");
  return [nearestRow(steps, low), nearestRow(steps, high)];
}

// Nobody hears of changes when the kernel is gone; what is drawn goes on.
function saveScene(scene) {
  if (scene.comm_live !== false) scene.save_changes();
}

function tellKernel(scene) {
  scene.rdmvizTelling ??= setTimeout(() => {
    scene.rdmvizTelling = undefined;
    saveScene(scene);
  }, KERNEL_MS);
}

function hoverScene(scene, samples) {
  if (samples.join() === scene.get("hovered").join()) return;
  scene.set("hovered", samples);
  saveScene(scene);
}

function selectScene(scene, samples) {
  scene.set("selection", [...new Set(samples)]);
  saveScene(scene);
}

// Set a trait that the state shares, such as "modes", and tell the kernel.
function chooseInScene(scene, name, value) {
  scene.set(name, value);
  saveScene(scene);
}

// Where an event happened, in CSS pixels of the element that listens.
function placeOfEvent(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

// The row whose step is nearest, by bisection.
function nearestRow(steps, step) {
  let [low, high] = [0, steps.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle;
  }
  return step - steps[low] <= steps[high] - step ? low : high;
}
