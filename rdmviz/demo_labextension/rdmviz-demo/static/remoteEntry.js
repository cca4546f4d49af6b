// Runs the demo notebook once it is open. Only the server that `rdmviz demo` starts serves this extension; an installed
// rdmviz adds nothing to anybody's JupyterLab. It is a federated module written by hand, so there is no build step.
(() => {
  const plugin = {
    id: "rdmviz-demo:run",
    autoStart: true,
    activate: async (app) => {
      await app.restored;
      for (let tries = 0; tries < 600; tries++) {
        const panel = app.shell.currentWidget;
        if (panel?.context?.path === "notebooks/01_first_look.ipynb" && app.commands.hasCommand("notebook:run-all-cells")) {
          await panel.context.ready;
          await panel.sessionContext.ready;
          await app.commands.execute("notebook:run-all-cells");
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  };
  const container = { init: async () => {}, get: async () => () => ({ __esModule: true, default: plugin }) };
  (window._JUPYTERLAB ??= {})["rdmviz-demo"] = container;
})();
