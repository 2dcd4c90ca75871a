"use strict";
// Draws what charts.js says with Vega, as SVG whose points can be reached by pointer, touch and keyboard.
(() => {
  const { state, make } = sc2;
  const FEW = 8;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const scale = (name, type, domain, range) => ({
    name,
    type,
    domain,
    range,
    nice: type === "linear",
    zero: false,
    clamp: true,
  });

  /** Room around values: a part of their span, on the axis as it is drawn. */
  function domain(values, type, margin) {
    const known = values.filter((value) => Number.isFinite(value) && (type !== "log" || value > 0));
    if (!known.length) return type === "log" ? [1, 10] : [0, 1];
    const low = Math.min(...known),
      high = Math.max(...known);
    if (type !== "log") return [low - margin * (high - low || 1), high + margin * (high - low || 1)];
    const room = Math.max((high / low) ** margin, 1.1);
    return [low / room, high * room];
  }

  /** Round positions on a logarithmic axis: the finest ladder of steps that leaves room between them. */
  function ticks([low, high], most) {
    for (const ladder of [[1, 1.5, 2, 3, 4, 6, 8], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++)
        found.push(
          ...ladder.map((step) => Number(`${step}e${decade}`)).filter((value) => value >= low && value <= high),
        );
      if (found.length <= most || ladder.length === 1) return found;
    }
  }
  const axis = (orient, which, title, type, within, most) => ({
    orient,
    scale: which,
    title,
    grid: true,
    tickCount: most,
    values: type === "log" ? ticks(within, most) : undefined,
    labelOverlap: true,
    domain: false,
    tickSize: 0,
    labelPadding: 6,
    titlePadding: 8,
    encode: {
      labels: {
        update: {
          text: { signal: "datum.value >= 1e6 ? format(datum.value / 1e6, ',~r') + ' M' : format(datum.value, ',~r')" },
        },
      },
    },
  });

  const opacity = (rest) => [{ test: "hot && hot !== datum.method", value: 0.12 }, rest];

  function spec(chart, width, height) {
    const all = [...chart.points, ...(chart.lines || []), ...(chart.extra || [])];
    const bands = state.bands === "on" && chart.points.some((d) => d.low !== undefined);
    const few = new Set(chart.points.map((d) => d.curve)).size <= FEW;
    const ys = [
      ...all.map((d) => d.y),
      ...chart.rules.filter((rule) => rule.teacher).map((rule) => rule.y),
      ...(bands ? chart.points.flatMap((d) => [d.low, d.high]) : []),
    ];
    const xs = all.map((d) => d.x);
    const isPhone = width < 480;
    const within = {
      x: state.view === "latency" ? [10, 1e5] : domain(xs, chart.xScale, 0.05),
      y: state.view === "deadline" ? [0, 100] : domain(ys, chart.yScale, 0.05),
    };
    return {
      $schema: "https://vega.github.io/schema/vega/v6.json",
      width,
      height,
      autosize: { type: "fit", contains: "padding" },
      padding: 4,
      background: null,
      config: {
        font: "system-ui, sans-serif",
        axis: {
          labelColor: css("--faint"),
          titleColor: css("--ink"),
          gridColor: css("--grid"),
          labelFontSize: isPhone ? 11 : 12,
          titleFontSize: isPhone ? 12 : 13,
          titleFontWeight: 500,
        },
      },
      signals: [{ name: "hot", value: null }],
      data: [
        { name: "points", values: chart.points },
        { name: "lines", values: (chart.lines || chart.points).filter((d) => d.line).sort((p, q) => p.x - q.x) },
        {
          name: "bands",
          values: bands ? chart.points.filter((d) => d.low !== null && d.high !== null).sort((p, q) => p.x - q.x) : [],
        },
        { name: "extra", values: chart.extra || [] },
        { name: "front", values: chart.front || [] },
        { name: "rings", values: chart.rings || [] },
        { name: "xrules", values: chart.rules.filter((rule) => rule.x !== undefined) },
        { name: "yrules", values: chart.rules.filter((rule) => rule.y !== undefined) },
      ],
      scales: [scale("x", chart.xScale, within.x, "width"), scale("y", chart.yScale, within.y, "height")],
      axes: [
        axis("bottom", "x", chart.x, chart.xScale, within.x, isPhone ? 5 : 9),
        axis("left", "y", chart.y, chart.yScale, within.y, 7),
      ],
      marks: [
        ...rules(),
        ...(bands ? intervals(few) : []),
        front(),
        lines(),
        symbols("extra"),
        symbols("points"),
        ring(),
      ],
    };
  }

  const whole = { update: { width: { signal: "width" }, height: { signal: "height" } } }; // of a group: what it clips to
  const place = (which) => ({ scale: which, field: which });
  function rules() {
    const line = (from, which, other) => ({
      type: "rule",
      from: { data: from },
      aria: false,
      clip: true,
      encode: {
        update: {
          [which]: place(which),
          [other]: { value: 0 },
          [`${other}2`]: { signal: other === "x" ? "width" : "height" },
          stroke: { value: css("--faint") },
          strokeDash: { value: [5, 4] },
          strokeWidth: { value: 1.3 },
        },
      },
    });
    const text = (from, which) => ({
      type: "text",
      from: { data: from },
      aria: false,
      encode: {
        update: {
          [which]: place(which),
          [which === "x" ? "y" : "x"]: which === "x" ? { value: 4 } : { signal: "width - 4" },
          align: { value: which === "x" ? "left" : "right" },
          dx: { value: which === "x" ? 5 : 0 },
          dy: { value: which === "x" ? 6 : -5 },
          text: { field: "text" },
          fill: { value: css("--faint") },
          fontSize: { value: 11.5 },
        },
      },
    });
    return [line("xrules", "x", "y"), line("yrules", "y", "x"), text("xrules", "x"), text("yrules", "y")];
  }

  const still = { aria: false, clip: true, interactive: false }; // of what lies behind the points

  /* A mark for each curve of a data set: an area or a line would join those of different curves. */
  const perCurve = (name, data, type, update) => ({
    type: "group",
    from: { facet: { name, data, groupby: "curve" } },
    encode: whole,
    marks: [{ type, from: { data: name }, ...still, encode: { update } }],
  });

  function intervals(few) {
    const reach = { x: place("x"), y: { scale: "y", field: "low" }, y2: { scale: "y", field: "high" } };
    const bars = {
      type: "rule",
      from: { data: "bands" },
      ...still,
      encode: {
        update: {
          ...reach,
          stroke: { field: "colour" },
          strokeWidth: { value: few ? 1.6 : 1 },
          opacity: opacity({ value: few ? 0.7 : 0.3 }),
        },
      },
    };
    if (!few) return [bars];
    const fill = { fill: { field: "colour" }, fillOpacity: opacity({ value: 0.13 }) };
    return [perCurve("band", "bands", "area", { ...reach, ...fill }), bars];
  }

  const lines = () =>
    perCurve("curve", "lines", "line", {
      x: place("x"),
      y: place("y"),
      stroke: { field: "colour" },
      strokeWidth: { value: 2 },
      strokeDash: { field: "dash" },
      opacity: opacity({ value: 0.9 }),
    });
  const front = () => ({
    type: "line",
    from: { data: "front" },
    aria: false,
    interactive: false,
    encode: {
      update: {
        x: place("x"),
        y: place("y"),
        interpolate: { value: "step-after" },
        stroke: { value: css("--faint") },
        strokeWidth: { value: 1.5 },
        strokeDash: { value: [2, 3] },
      },
    },
  });
  const symbols = (data) => ({
    type: "symbol",

    from: { data },
    clip: false,
    encode: {
      enter: { cursor: { value: data === "points" ? "pointer" : "default" }, description: { field: "said" } },
      update: {
        x: place("x"),
        y: place("y"),
        shape: { field: "shape" },
        size: { field: "area" },
        tooltip: { signal: "datum" },
        fill: [{ test: "datum.hollow", value: "transparent" }, { field: "colour" }],
        stroke: [{ test: "datum.hollow", field: "colour" }, { value: css("--page") }],
        strokeWidth: { value: data === "points" ? 0.8 : 1.4 },
        opacity: [
          { test: "hot && hot !== datum.method", value: 0.12 },
          { test: "datum.faint", value: 0.28 },
          { value: 1 },
        ],
      },
    },
  });
  const ring = () => ({
    type: "symbol",
    from: { data: "rings" },
    interactive: false,
    encode: {
      update: {
        x: place("x"),
        y: place("y"),
        size: { value: 260 },
        fill: { value: "transparent" },
        stroke: { value: css("--ink") },
        strokeWidth: { value: 2 },
        description: { field: "text" },
      },
    },
  });

  const drawn = [];
  let hot = null;
  /** Show one method's curves and fade the others; null shows all. */
  function highlight(method) {
    if (method === hot) return;
    hot = method;
    for (const { view } of drawn) view.signal("hot", method).runAsync();
  }

  async function draw(box, benchmark) {
    const chart = sc2.views[state.view].of(benchmark);
    const count = chart.points.length;
    const images = benchmark.images.toLocaleString("en");
    const teacher = `teacher ${sc2.number(benchmark.teacher.quality)}${benchmark.quality.unit}`;
    const kept = benchmark.snapshot ? ", from its snapshot" : "";
    const plot = make("div", { class: "plot", tabindex: "0", role: "group", "aria-roledescription": "chart" });
    const words = `${sc2.views[state.view].title} of ${benchmark.title}: ${chart.y} against ${chart.x}, ${count} points. Arrow keys go from point to point, Enter opens one.`;
    plot.setAttribute("aria-label", words);
    // Vega names what it draws into by the description.
    box.replaceChildren(
      make(
        "figcaption",
        {},
        benchmark.title,
        make("span", {}, ` · ${benchmark.task}, ${images} test images, ${teacher}${kept}`),
      ),
      plot,
    );
    if (!count) {
      const why =
        benchmark.snapshot && ["latency", "deadline"].includes(state.view)
          ? "only the snapshot of this benchmark is here, and latency needs the bytes of every image."
          : "no method that is switched on has such a point.";
      plot.append(make("p", { class: "empty" }, `Nothing to draw: ${why}`));
      return;
    }
    const width = Math.max(260, plot.clientWidth),
      height = Math.round(Math.min(Math.max(width * 0.72, 300), 620));
    const { view } = await vegaEmbed(
      plot,
      { ...spec(chart, width, height), description: words },
      {
        mode: "vega",
        renderer: "svg",
        actions: false,
        defaultStyle: false,
        hover: false,
        tooltip: (_, event, __, value) => sc2.tip(event, value),
      },
    );
    view.addEventListener("click", (_, item) => item && item.datum && item.datum.key && sc2.open(item.datum.key));
    drawn.push({ view, plot, chart });
    sc2.keys(plot, view, chart);
  }

  let turn = 0;
  /** Draw the charts of all tasks that are shown. */
  async function drawAll() {
    const own = ++turn,
      place = document.getElementById("charts");
    const boxes = sc2
      .shown()
      .map((benchmark) => [make("figure", { class: "chart", "data-benchmark": benchmark.name }), benchmark]);
    const old = drawn.splice(0);
    hot = null;
    sc2.hideTip();
    place.replaceChildren(...boxes.map(([box]) => box));
    for (const { view } of old) view.finalize();
    for (const [box, benchmark] of boxes) if (own === turn) await draw(box, benchmark);
  }

  window.sc2 = { ...window.sc2, drawAll, highlight };
})();
