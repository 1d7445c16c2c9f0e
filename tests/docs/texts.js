// One text of each color, ground and size that a page shows: its contrast, as WCAG 2.2 computes it
// from the relative luminance of both, and its size.
() => {
  const parsed = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    return [red, green, blue, alpha];
  };

  const over = ([red, green, blue, alpha], ground) =>
    [red, green, blue].map((each, at) => each * alpha + ground[at] * (1 - alpha));

  const grounds = new Map([[null, [255, 255, 255]]]);
  const groundOf = (element) => {
    if (!grounds.has(element)) {
      const layer = parsed(getComputedStyle(element).backgroundColor);
      grounds.set(element, over(layer, groundOf(element.parentElement)));
    }
    return grounds.get(element);
  };

  const luminance = (color) => {
    const [red, green, blue] = color.map((each) => {
      const part = each / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };

  const contrast = (one, other) => {
    const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (lighter + 0.05) / (darker + 0.05);
  };

  const found = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    const isShown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!text || !isShown || element.closest("script, style, noscript")) {
      continue;
    }
    const style = getComputedStyle(element);
    const ground = groundOf(element);
    const isProse = element.matches("article p, article li, article td");
    const key = [style.color, ground, style.fontSize, isProse].join();
    if (!found.has(key)) {
      found.set(key, {
        text: text.slice(0, 40),
        color: style.color,
        ground: ground.map(Math.round),
        contrast: contrast(over(parsed(style.color), ground), ground),
        pixels: parseFloat(style.fontSize),
        isProse,
      });
    }
  }
  return [...found.values()];
};
