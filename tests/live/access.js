// What axe-core would look at, as far as this page has it. Returns what is wrong, one line each; none is the wish.
(() => {
  const wrong = [];
  const visible = (el) => el.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const byContent = "a, button, summary"; // all else is named by a label alone, whatever it holds
  const accessible = (el) => el.getAttribute("aria-label") || (el.matches(byContent) && el.textContent.trim())
    || (el.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent).join("").trim()
    || [...(el.labels ?? [])].map((label) => label.textContent).join("").trim();
  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (top, below) => top.rgb.map((c, i) => c * top.a + below[i] * (1 - top.a));
  const ground = (el) => {
    if (!el) return [255, 255, 255];
    const own = colour(getComputedStyle(el).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(el.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  let texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement, style = getComputedStyle(el);
    if (!walk.currentNode.data.trim() || !visible(el) || el.closest(".hidden, .skip, script, noscript, option")) continue;
    texts++;
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const back = ground(el), found = contrast(over(colour(style.color), back), back);
    if (found < (large ? 3 : 4.5)) wrong.push(`contrast ${found.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  if (texts < 40) wrong.push(`only ${texts} texts were looked at`);
  for (const el of document.querySelectorAll("select, button, input[type=password], .segmented, .track i, .spark path")) {
    if (!visible(el)) continue;
    const style = getComputedStyle(el), around = ground(el.parentElement);
    const edge = el.matches(".track i") ? colour(style.backgroundColor) : el.matches("path") ? colour(style.stroke) : colour(style.borderTopColor);
    const found = Math.max(contrast(over(edge, around), around), contrast(ground(el), around));
    if (found < 3) wrong.push(`edge ${found.toFixed(2)}: ${el.outerHTML.slice(0, 60)}`);
  }
  for (const el of document.querySelectorAll("a, button, input, select, table, section, form, [role=region], summary")) {
    if (visible(el) && !accessible(el)) wrong.push(`no name: ${el.outerHTML.slice(0, 80)}`);
  }
  for (const el of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")) {
    for (const id of (el.getAttribute("aria-labelledby") ?? el.getAttribute("aria-describedby") ?? el.getAttribute("for")).split(" ")) {
      if (!document.getElementById(id)) wrong.push(`points nowhere: ${id}`);
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
  if (new Set(ids).size < ids.length) wrong.push("an id stands twice");
  for (const [selector, n] of [["main", 1], ["h1", 1], ["header", 1], ["[tabindex]:not([tabindex='0'], [tabindex='-1'])", 0]]) {
    if (document.querySelectorAll(selector).length !== n) wrong.push(`${selector}: not ${n}`);
  }
  const levels = [...document.querySelectorAll("h1, h2, h3")].filter(visible).map((el) => Number(el.tagName[1]));
  levels.reduce((before, level) => (level > before + 1 && wrong.push("a level of headings is left out"), level), 0);
  for (const table of document.querySelectorAll("table")) {
    for (const th of table.querySelectorAll("th")) if (!th.getAttribute("scope")) wrong.push(`th without scope: ${th.textContent}`);
    if (!table.querySelector("thead th") && table.rows.length) wrong.push("a table without headers");
  }
  for (const el of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
    if (el.querySelector("table, dl, select")) wrong.push(`too much is announced: ${el.id}`);
    if (el.getAttribute("aria-live") === "assertive") wrong.push(`interrupts: ${el.id}`);
  }
  for (const el of document.querySelectorAll("select, button:not([hidden]), .segmented span")) {
    if (visible(el) && el.getBoundingClientRect().height < 24) wrong.push(`too small to hit: ${el.outerHTML.slice(0, 60)}`);
  }
  for (const el of document.querySelectorAll(".scroll")) {
    if (el.scrollWidth > el.clientWidth && el.tabIndex !== 0) wrong.push("can't be scrolled by keyboard");
  }
  if (document.documentElement.lang !== "en") wrong.push("no language");
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`wider than the screen: ${document.documentElement.scrollWidth}`);
  return wrong;
})()
