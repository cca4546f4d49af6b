// What each picture is, what a transition looks like in it, and what can fool it: one click away.

const EXPLANATIONS = {
  map: [
    "Each point is a datapoint of the probe, at its loadings √λ v in two modes (eigenvectors) of the 2RDM. Near points gain and lose loss together; opposite sides move against each other; points at the centre do not take part.",
    "A few datapoints leave the centre together along one axis, then return once they are learned. The colour says whether they have something in common.",
    "The axis alone does not say which way the run moved: both ends of a mode are equal in size. With a falling loss the first mode is mostly drift. Axes follow each step's own modes and scale unless the plane is fixed; trails then join loadings in different modes.",
    "Drag draws a lasso (Shift adds, Alt takes away), a click selects, Escape clears. Space or the middle button and a drag move the map; the wheel zooms once the map has the focus, or with Ctrl; two fingers do both. Page Down and Page Up point at datapoints from the outermost inward, Enter selects, + − 0 and the arrows zoom and move.",
  ],
  gaussian: [
    "The same datapoints in the Gaussian 2RDM: how their losses answer together when the weights of the network, as they were at the newest snapshot, are displaced at random. Near points gain and lose loss under the same displacements. The map looks back at steps of training, this picture around one network.",
    "Datapoints that the network begins to treat alike leave the centre together, also while their losses stand still: shared structure shows before training moves along it.",
    "The size of a displacement is a choice, and a larger one sees coarser structure. Losses that run away make the covariance large for that reason alone. Modes that are no more than the draws differ by chance are as many as the participation ratio says; few draws see few modes. It changes at snapshots only.",
    "Point, click, draw a lasso as on the map: both show the same selection, in the same colours. The wheel, + − 0 and the arrows zoom and move this picture alone.",
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
  datapoints: [
    "What the datapoints are: those you selected, those with the largest part in the first mode on the map, or those that Find finds. Click a heading to sort, a row to select. Above the rows: what they have more of than all other datapoints, tested in every column of the metadata (q is corrected for the number of tests).",
    "The rows of a mode's ends turn out to be of one kind, and their small curves fall together where others have fallen long before or not yet.",
    "With many columns something is always nearest: trust q, not the share. Datapoints selected by their position in the map were selected by their losses, so losses alone prove nothing about them. Small curves show some of the recorded rows; short spikes can lie between.",
  ],
  curves: [
    "Spectral warning curves over training time, on trailing windows, beside plain statistics of the mean loss.",
    "Before a second-order transition fluctuations grow and slow down: spectral heat capacity rises and the participation ratio falls, ahead of the change in the loss.",
    "A falling loss raises both without any transition, so detrend. A window shorter than the relaxation time sees nothing. A rise is no alarm until its false-alarm rate on control runs is known. First-order transitions give no warning.",
  ],
  comparison: [
    "Runs on one axis: by step, counted from a transition of each, or by the lowest mean loss so far. The curves share a scale, the maps a cursor. With one probe, the overlap says how far the leading modes of two runs span the same subspace of datapoints: 1 wholly, 0 not at all.",
    "Aligned by transition, curves and maps of runs that learn the same thing fall together, and the overlap rises there: the same datapoints reorganise.",
    "A drift that all datapoints share makes any two runs overlap: the dotted line, for exchanged datapoints, shows how much. Axes and signs of the maps are each run's own. Aligned by loss, a run that learns something else on the way looks late. A largest drift or heat capacity is a criterion, not a detected transition.",
  ],
};
const EXPLAINED_AS = ["What is this?", "What would a transition look like?", "What can fool it?", "What can I do with it?"];

let explained = 0; // names of explanations are unique on a page

// A button that opens the explanation where `host` appends it, beside the picture and never over it; Escape or a second
// press closes it.
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
    panel.setAttribute("aria-label", `About the ${name}`);
    panel.id = `rdmviz-explanation-${++explained}`;
    button.setAttribute("aria-controls", panel.id);
    EXPLANATIONS[name].forEach((text, k) => {
      const part = element("div");
      part.append(element("strong", "", EXPLAINED_AS[k]), element("p", "", text));
      panel.append(part);
    });
    host.append(panel);
    panel.scrollIntoView({ block: "nearest" });
  };
  button.addEventListener("click", () => toggle(!panel));
  button.addEventListener("keydown", (event) => {
    if (event.key === "Escape") toggle(false);
  });
  return button;
}
