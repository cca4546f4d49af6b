// Runs the demo notebook's first cells once it is open. Only the server that `rdmviz demo` starts serves this extension; an installed
// rdmviz adds nothing to anybody's JupyterLab. It is a federated module written by hand, so there is no build step.
(() => {
  const NOTEBOOK = "notebooks/01_first_look.ipynb";

  // Ask ten times a second, for a minute at most, and return the first answer that is not empty.
  const until = async (ask) => {
    for (let tries = 0; tries < 600; tries++) {
      const answer = ask();
      if (answer) return answer;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return null;
  };

  const runOnceOpen = async (app) => {
    await app.restored;
    const panel = await until(() => {
      const current = app.shell.currentWidget;
      return current?.context?.path === NOTEBOOK && app.commands.hasCommand("notebook:run-cell-and-select-next") && current;
    });
    if (!panel) return;
    app.shell.collapseLeft?.(); // the explorer wants the room more than the file list does
    await panel.context.ready;
    await panel.sessionContext.ready;
    // Down to the explorer and no further: what comes after it is for the visitor to run.
    const explorer = panel.content.widgets.findIndex((cell) => cell.model.type === "code");
    panel.content.activeCellIndex = 0;
    for (let cell = 0; cell <= explorer; cell++) await app.commands.execute("notebook:run-cell-and-select-next");
    panel.content.activeCellIndex = explorer;
    await until(() => panel.node.querySelector(".rdmviz-map-view[data-step]"));
    panel.content.widgets[explorer].node.scrollIntoView();
  };

  const plugin = {
    id: "rdmviz-demo:run",
    autoStart: true,
    activate: (app) => {
      runOnceOpen(app); // not awaited: the application is only restored once every plugin is active
    },
  };
  const container = { init: async () => {}, get: async () => () => ({ __esModule: true, default: plugin }) };
  (window._JUPYTERLAB ??= {})["rdmviz-demo"] = container;
})();
