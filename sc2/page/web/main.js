"use strict";
// Puts the page together, and draws again what a change concerns.
(() => {
  const { content, state, make } = sc2;
  const element = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function theme() {
    document.documentElement.dataset.theme = state.theme || (dark.matches ? "dark" : "light");
  }

  /** Which methods of a benchmark were timed on a busy machine. */
  function busyWhile(benchmark) {
    const all = new Set(benchmark.curves.map((curve) => curve.method)).size;
    const names = benchmark.loaded.map((name) => content.methods[name].title);
    const which =
      names.length === all ? "all methods" : names.length > 4 ? `${names.length} of ${all} methods` : names.join(", ");
    return `${benchmark.title} (${which})`;
  }

  function about() {
    const points = content.benchmarks.flatMap((b) => b.curves.flatMap((c) => c.points)).length;
    element("about").textContent =
      `In split computing a weak device runs an encoder and sends a few bytes; a server runs the rest. ${Object.keys(content.methods).length} methods, ${points} operating points on ${content.benchmarks.length} benchmark${content.benchmarks.length === 1 ? "" : "s"}: quality, bytes, and what the encoder costs.`;
    const warnings = [];
    const { dirty } = content.commit;
    if (dirty.length) warnings.push(`Tables were made from a tree with uncommitted changes: ${dirty.join("; ")}.`);
    const busy = content.benchmarks.filter((benchmark) => benchmark.loaded.length).map(busyWhile);
    if (busy.length)
      warnings.push(`The machine was busy while these were timed, so their times may be too long: ${busy.join("; ")}.`);
    element("warnings").hidden = !warnings.length;
    element("warnings").textContent = warnings.join(" ");
    const kept = content.benchmarks.filter((benchmark) => benchmark.snapshot).map((benchmark) => benchmark.snapshot);
    const from = kept.length
      ? ` Of ${kept.join(", ")} only the snapshot is here: it has neither bytes per image, and with them latencies, nor traces.`
      : "";
    element("made").textContent =
      `sc2 ${content.version}; tables made at commit ${content.commit.commits.join(", ") || "unknown"}. Every number is from results/tables and results/channels of that run.${from}`;
  }

  /** Draw what a change concerns; sliders move faster than charts are drawn, so only the last state is. */
  let waiting = false;
  function charts() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(async () => {
      waiting = false;
      await sc2.drawAll();
      document.documentElement.dataset.ready = state.view;
    });
  }
  function changed(what) {
    if (what === "point") return;
    if (what === "table") {
      sc2.tables();
      return;
    }
    theme();
    sc2.channelControls();
    sc2.simpleControls();
    if (what === "all") {
      sc2.viewControls();
      sc2.taskControls();
      sc2.pictures();
    }
    if (what !== "channel") sc2.legend();
    sc2.pair();
    sc2.modelled();
    charts();
  }

  function everything() {
    sc2.chooseDefault();
    changed("all");
    sc2.tables();
    if (state.point) sc2.open(state.point);
    else element("details").open && element("details").close();
  }

  sc2.fromAddress();
  if (!sc2.views[state.view]) state.view = "rate";
  about();
  sc2.chooseDefault();
  sc2.startControls();
  sc2.choices();
  sc2.startTables();
  sc2.onChange(changed);
  everything();
  if (matchMedia("(max-width: 60rem)").matches) element("legend-box").open = false;
  addEventListener("hashchange", () => {
    sc2.fromAddress();
    if (!sc2.views[state.view]) state.view = "rate";
    everything();
  });
  dark.addEventListener("change", () => changed("all"));
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      charts();
    }
  });
})();
