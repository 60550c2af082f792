// The order of things: what is read first works first.
startTheme(redraw);
startContents();
startTables();
startCommands();
startCharts();
startExamples();
if (location.hash.length > 1) showTarget();

const folded = new Set();
addEventListener("beforeprint", () => {
  isPrinting = true;
  for (const fold of document.querySelectorAll("main details.more:not([open])")) {
    fold.open = true;
    folded.add(fold);
  }
  document.querySelectorAll("figure.chart").forEach(draw);
  redraw();
});
addEventListener("afterprint", () => {
  isPrinting = false;
  for (const fold of folded) fold.open = false;
  folded.clear();
  redraw();
});
