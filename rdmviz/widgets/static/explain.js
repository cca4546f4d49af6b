// What each picture is, what a transition looks like in it, and what can fool it: one click away.

const EXPLANATIONS = {
  map: [
    "Each point is a datapoint of the probe, at its loadings √λ v in two modes (eigenvectors) of the 2RDM. Near points gain and lose loss together; opposite sides move against each other; points at the centre do not take part.",
    "A few datapoints leave the centre together along one axis, then return once they are learned. The colour says whether they have something in common.",
    "The axis alone does not say which way the run moved: both ends of a mode are equal in size. With a falling loss the first mode is mostly drift. Axes follow each step's own modes and scale unless the plane is fixed.",
  ],
  matrix: [
    "The 2RDM itself: for each pair of datapoints, the covariance (or correlation) of their losses over the trailing window. Ordered by group, then by similarity, so that blocks show. Up to 400 datapoints, of every group; while time moves, a large matrix is drawn from means over blocks of pairs.",
    "A block lights up: its datapoints fluctuate together. Two blocks of opposite colour: one group pays for the other.",
    "Covariance is dominated by the datapoints with the largest losses; look at the correlation too. In a short window pure noise has strong correlations.",
  ],
  spectrum: [
    "The eigenvalues of the 2RDM as shares of its trace: how the fluctuation splits into collective modes. PR, the participation ratio, is the number of modes that take part. The dashed line is the null edge: 95 of 100 windows of noise in which each datapoint keeps its variance and its autocorrelation, but no two have anything in common (AR(1) surrogates), stay below it.",
    "One bar grows tall and PR falls toward 1: the probe moves as one.",
    "A drifting loss alone gives one tall bar, PR = 1. A window of w rows has at most w − 1 modes, and noise fills them all: only bars above the null edge are modes.",
  ],
  curves: [
    "Spectral warning curves over training time, on trailing windows, beside plain statistics of the mean loss.",
    "Before a second-order transition fluctuations grow and slow down: spectral heat capacity rises and the participation ratio falls, ahead of the change in the loss.",
    "A falling loss raises both without any transition, so detrend. A window shorter than the relaxation time sees nothing. A rise is no alarm until its false-alarm rate on control runs is known. First-order transitions give no warning.",
  ],
};
const EXPLAINED_AS = ["What is this?", "What would a transition look like?", "What can fool it?"];

// A button that opens the explanation over its figure; Escape or a second press closes it.
function explainButton(name, host) {
  const button = element("button", "rdmviz-explain", "?");
  button.type = "button";
  button.setAttribute("aria-label", `Explain the ${name}`);
  button.setAttribute("aria-expanded", "false");
  button.title = "What is this?";
  let panel = null;
  const toggle = (open) => {
    panel?.remove();
    panel = null;
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    panel = element("div", "rdmviz-explanation");
    panel.setAttribute("role", "note");
    EXPLANATIONS[name].forEach((text, k) => panel.append(element("strong", "", EXPLAINED_AS[k]), element("p", "", text)));
    host.append(panel);
  };
  button.addEventListener("click", () => toggle(!panel));
  button.addEventListener("keydown", (event) => {
    if (event.key === "Escape") toggle(false);
  });
  return button;
}
