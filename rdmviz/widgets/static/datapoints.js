// What the datapoints pointed at, or selected, are.

function renderDatapoints(model, el, scene) {
  const details = element("div", "rdmviz-view rdmviz-details");
  el.append(details);
  const show = () => {
    const cards = scene.get("cards");
    details.replaceChildren();
    if (!cards.length) {
      details.append(element("span", "rdmviz-hint", "Point at a datapoint to read what it is; click to keep it, shift-click for several."));
      return;
    }
    const table = element("table", "rdmviz-cards");
    const head = table.createTHead().insertRow();
    for (const [name] of cards[0]) head.append(element("th", "", name));
    const body = table.createTBody();
    for (const card of cards) {
      const row = body.insertRow();
      for (const [, value] of card) row.append(element("td", "", value));
    }
    details.append(table);
    const more = scene.get("more_cards");
    if (more > 0) details.append(element("span", "rdmviz-hint", `and ${more} more selected`));
  };
  show();
  return listening(scene, ["cards", "more_cards"], show);
}
