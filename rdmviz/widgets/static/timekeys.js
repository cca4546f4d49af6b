// Keys that mean the same wherever time has the focus: the slider, the marks, the curves.

const TIME_KEYS_HELP = "Arrow keys move, with Shift by ten; Home and End; Space plays; [ and ] go to marks; + and − zoom, 0 shows the whole run";

// Steps of marks and bookmarks as rows, in order.
function markedRows(scene) {
  const { steps } = sharedScene(scene);
  const rows = [...scene.get("marks"), ...scene.get("bookmarks")].map(({ step }) => nearestRow(steps, step));
  return [...new Set(rows)].sort((a, b) => a - b);
}

// Do what a key means for time; returns whether it means anything.
function timeKey(scene, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const index = scene.get("index");
  const [low, high] = spanRows(scene);
  const within = (row) => moveScene(scene, Math.max(low, Math.min(high, row)));
  const stride = event.shiftKey ? 10 : 1;
  const zoom = (share) => {
    const half = Math.max(1, ((high - low) * share) / 2);
    const middle = Math.max(half, Math.min(scene.get("count") - 1 - half, index));
    zoomScene(scene, middle - half, middle + half);
  };
  const meanings = {
    ArrowLeft: () => within(index - stride),
    ArrowDown: () => within(index - stride),
    ArrowRight: () => within(index + stride),
    ArrowUp: () => within(index + stride),
    PageDown: () => within(index - Math.max(10, Math.round((high - low) / 10))),
    PageUp: () => within(index + Math.max(10, Math.round((high - low) / 10))),
    Home: () => within(low),
    End: () => within(high),
    " ": () => chooseInScene(scene, "playing", !scene.get("playing")),
    "[": () => goToMark(scene, -1),
    "]": () => goToMark(scene, 1),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    0: () => zoomScene(scene, 0, scene.get("count") - 1),
  };
  if (!Object.hasOwn(meanings, event.key)) return false;
  event.preventDefault();
  meanings[event.key]();
  return true;
}

// Go to the next mark or bookmark that way.
function goToMark(scene, way) {
  const index = scene.get("index");
  const rows = markedRows(scene).filter((row) => way * (row - index) > 0);
  if (rows.length) moveScene(scene, way > 0 ? rows[0] : rows[rows.length - 1]);
}

// The notebook has its own meaning for most keys: none that is pressed here reaches it.
function listenToTimeKeys(scene, node) {
  node.addEventListener("keydown", (event) => {
    timeKey(scene, event);
    if (event.key !== "Tab") event.stopPropagation();
  });
}
