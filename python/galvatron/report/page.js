// Draws the figures in the page's colours, light or dark, and redraws them when the reader changes the theme.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const out = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--muted") },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--text") } },
    };
    for (const axis of ["xaxis", "yaxis"]) {
      out[axis] = { ...out[axis], gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line") };
    }
    return out;
  }

  function draw(name) {
    const timeline = name === "timeline";
    const config = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: timeline };
    Plotly.react(document.getElementById(name), figures[name].data, themed(figures[name].layout), config);
  }

  function drawAll() {
    for (const name of Object.keys(figures)) draw(name);
  }

  for (const controls of document.querySelectorAll(".controls")) {
    const name = controls.dataset.figure;
    controls.addEventListener("click", (event) => {
      const type = event.target.dataset.type;
      if (!type) return;
      figures[name].layout.yaxis = { ...figures[name].layout.yaxis, type };
      for (const button of controls.children) button.setAttribute("aria-pressed", String(button === event.target));
      draw(name);
    });
  }

  dark.addEventListener("change", drawAll);
  drawAll();
  document.documentElement.dataset.drawn = Object.keys(figures).length;
})();
