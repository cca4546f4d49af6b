// Keys pressed on a control of ours are that control's: the notebook would move its cursor on an arrow key, or start
// editing on Enter. What goes with Ctrl or Cmd, such as saving, stays the host's.

const KEY_OWNERS = ".rdmviz-explorer, .rdmviz-view, .rdmviz-time";
const HOST_KEEPS_OUT = "data-lm-suppress-shortcuts"; // where this is on the focused element, JupyterLab looks for no shortcut

function ownKeys(event) {
  const node = event.target;
  if (!node.closest?.(KEY_OWNERS)) return;
  if (event.ctrlKey || event.metaKey) node.removeAttribute(HOST_KEEPS_OUT);
  else node.setAttribute(HOST_KEEPS_OUT, "true");
}

let keyOwnersOnPage = 0;

// JupyterLab listens at the document, first of all there; so this is done before, at the window.
function owningKeys() {
  if (keyOwnersOnPage++ === 0) window.addEventListener("keydown", ownKeys, true);
  return () => {
    if (--keyOwnersOnPage === 0) window.removeEventListener("keydown", ownKeys, true);
  };
}
