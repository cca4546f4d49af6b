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

// A picture that is pointed at from the keyboard: `moved(event)` is what a key points at next, undefined where it is no such
// key; Enter chooses what is pointed at (told whether with Shift), Escape and leaving point at nothing.
function pointingByKeys(canvas, moved, point, choose) {
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("keydown", (event) => {
    const to = moved(event);
    if (to !== undefined) point(to);
    else if (event.key === "Enter") choose(event.shiftKey);
    else if (event.key === "Escape") point(null);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has its own meaning for these keys
  });
}
