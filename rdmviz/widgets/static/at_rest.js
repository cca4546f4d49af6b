// What is asked of the kernel only where time stands still: the whole matrix, the null edge, a mode's strongest datapoints.

const DETAILS_REST_MS = 120;
const REST_KEPT = 6;

class AtRest {
  // `question()` gives the fields that go with the kind, or null where there is nothing to ask; `traits` are what it depends on.
  constructor(scene, kind, question, arrived, traits = []) {
    [this.scene, this.kind, this.question, this.arrived] = [scene, kind, question, arrived];
    this.answers = new Map();
    this.asked = null;
    this.onMessage = (content, buffers) => this.receive(content, buffers);
    scene.on("msg:custom", this.onMessage);
    this.stopListening = listening(scene, ["index", "epoch", "layout", ...traits], () => this.wait());
    this.wait();
  }

  key(question) {
    return JSON.stringify([this.scene.get("epoch"), this.scene.get("index"), question]);
  }

  wait() {
    clearTimeout(this.timer);
    this.asked = null;
    this.timer = setTimeout(() => this.ask(), DETAILS_REST_MS);
  }

  ask() {
    const question = this.question();
    if (!question || this.answers.has(this.key(question)) || this.scene.comm_live === false) return;
    if (!frameStore(this.scene).at(this.scene.get("index"))) return this.wait(); // the picture itself comes first
    this.asked = this.key(question);
    this.scene.send({ kind: this.kind, epoch: this.scene.get("epoch"), row: this.scene.get("index"), key: this.asked, ...question });
    this.arrived(); // the question is on its way: a view may say so
  }

  receive(content, buffers) {
    if (content?.kind !== this.kind || content.epoch !== this.scene.get("epoch")) return;
    this.answers.delete(content.key);
    this.answers.set(content.key, { ...content, buffers: (buffers ?? []).map((view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)) });
    if (this.answers.size > REST_KEPT) this.answers.delete(this.answers.keys().next().value);
    if (this.asked === content.key) this.asked = null;
    this.arrived();
  }

  // The answer for what is on screen, or null.
  now() {
    const question = this.question();
    return (question && this.answers.get(this.key(question))) ?? null;
  }

  stop() {
    clearTimeout(this.timer);
    this.stopListening();
    this.scene.off("msg:custom", this.onMessage);
  }
}

// Datapoints in a few words, asked of the kernel once each; shared by all views of a scene.
class DatapointNames {
  constructor(scene) {
    this.scene = scene;
    this.known = new Map();
    this.wanted = new Set();
    this.listeners = new Set();
    scene.on("msg:custom", (content) => {
      if (content?.kind !== "names") return;
      content.samples.forEach((sample, k) => this.known.set(sample, content.names[k]));
      for (const listener of this.listeners) listener();
    });
  }

  // "datapoint 12 (split train)", or without the words as long as they are not here.
  of(sample) {
    const words = this.known.get(sample);
    if (words === undefined && !this.wanted.has(sample)) {
      this.wanted.add(sample);
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        const samples = [...this.wanted].filter((s) => !this.known.has(s)).slice(-64);
        this.wanted.clear();
        if (this.scene.comm_live !== false) this.scene.send({ kind: "names", samples });
      }, 60);
    }
    return words ? `datapoint ${sample} (${words})` : `datapoint ${sample}`;
  }
}

function datapointNames(scene) {
  scene.rdmvizNames ??= new DatapointNames(scene);
  return scene.rdmvizNames;
}

// A choice at a picture, beside its title: a trait of the scene that the state shares.
function pictureChoice(figure, scene, trait, label, options) {
  const select = element("select", "rdmviz-choice");
  select.setAttribute("aria-label", label);
  select.title = label;
  for (const value of options) {
    const option = element("option", "", value);
    option.value = value;
    select.append(option);
  }
  const show = () => (select.value = scene.get(trait));
  select.addEventListener("change", () => chooseInScene(scene, trait, select.value));
  for (const kind of ["keydown", "pointerdown"]) select.addEventListener(kind, (event) => event.stopPropagation());
  figure.querySelector("figcaption .rdmviz-title").after(select);
  show();
  return listening(scene, [trait], show);
}

// A line of words under a picture, read out when it changes.
function readingLine(figure, name) {
  const line = element("div", `rdmviz-reading rdmviz-${name}-reading`);
  line.setAttribute("role", "status");
  figure.append(line);
  return (text) => {
    if (line.textContent !== text) line.textContent = text;
  };
}
