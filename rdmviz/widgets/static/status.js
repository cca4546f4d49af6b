// What the person has to know: a run that is followed, what went wrong, a kernel that is gone.

function renderStatus(model, el, scene) {
  const line = element("div", "rdmviz-view rdmviz-status");
  const follow = element("button", "rdmviz-follow", "Follow");
  follow.type = "button";
  follow.title = "Take in new rows while the run is being recorded";
  const words = element("span", "rdmviz-following");
  words.setAttribute("role", "status");
  const troubles = element("div", "rdmviz-troubles");
  troubles.setAttribute("role", "alert");
  line.append(follow, words, troubles);
  el.append(line);
  const shared = sharedScene(scene);

  const show = () => {
    const following = scene.get("following");
    const gone = scene.comm_live === false;
    follow.hidden = !scene.get("can_follow") || gone;
    follow.setAttribute("aria-pressed", String(following));
    const last = shared.steps.length - 1;
    const newest = `newest step ${formatStep(shared.steps[last])}`;
    const place = scene.get("index") === last ? "keeping to it" : "staying here; End keeps to the newest";
    words.textContent = following && !gone ? `${formatStep(last + 1)} rows, ${newest}: ${place}` : "";
    const told = gone
      ? ["The kernel that computes these pictures is gone: run the cell again. What is drawn stays readable."]
      : [...new Set(Object.values(scene.get("troubles")))];
    if (told.join() !== [...troubles.children].map((node) => node.textContent).join()) {
      troubles.replaceChildren(...told.map((text) => element("p", "", text)));
    }
    line.classList.toggle("rdmviz-quiet", follow.hidden && !told.length);
  };
  follow.addEventListener("click", () => chooseInScene(scene, "following", !scene.get("following")));
  scene.on("comm_live_update", show);
  show();
  const stop = listening(scene, ["following", "can_follow", "troubles", "steps", "index"], show);
  return () => {
    stop();
    scene.off("comm_live_update", show);
  };
}
