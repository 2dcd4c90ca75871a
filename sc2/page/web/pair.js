"use strict";
// What is said of two methods, and every method at the channel that is set.
(() => {
  const { content, state, make, number, msText, rateText } = sc2;
  const element = (id) => document.getElementById(id);
  const title = (method) => content.methods[method].title;
  const isPair = (one) => one.pair.includes(state.a) && one.pair.includes(state.b);

  /** Choose the two methods where the address names none: two that are not corners and can be compared. */
  function chooseDefault() {
    const names = Object.keys(content.methods);
    const usual = [
      ["entropic_student", "webp"],
      ["entropic_student", "jpeg"],
    ].find((pair) => pair.every((name) => names.includes(name)));
    const [a, b] = usual || names;
    if (!names.includes(state.a)) state.a = a;
    if (!names.includes(state.b)) state.b = b || a;
  }

  function choices() {
    for (const id of ["a", "b"]) {
      const groups = content.families.map((family) =>
        make(
          "optgroup",
          { label: family.title },
          ...Object.entries(content.methods)
            .filter(([, method]) => method.family === family.name)
            .map(([name, method]) => make("option", { value: name, selected: name === state[id] }, method.title)),
        ),
      );
      element(id).replaceChildren(...groups);
      element(id).addEventListener("change", (event) => sc2.change({ [id]: event.target.value }));
    }
  }

  function breakEvenText(benchmark) {
    const pair = sc2.pairOf(benchmark, state.loss);
    if (!pair) return null;
    const { fewer, more, rate } = sc2.breakEven(...pair, sc2.channel());
    const points = `(${sc2.name(fewer)} against ${sc2.name(more)}, round trip ${msText(state.rtt)})`;
    const [one, other] = [title(fewer.curve.method), title(more.curve.method)];
    if (rate === Infinity) return `${one} is the faster one at every rate ${points}.`;
    if (rate === 0) return `${other} is the faster one at every rate ${points}.`;
    return `${one} is faster below ${rateText(rate)}, ${other} above ${points}.`;
  }

  function missing(benchmark) {
    if (benchmark.snapshot)
      return "Only the snapshot of this benchmark is here, which does not compare these two at this quality.";
    const has = (method) => (benchmark.reached[state.loss] || {})[method];
    const without = [state.a, state.b].filter((method) => !has(method));
    return without.length
      ? `${without.map(title).join(" and ")}: no measured point comes within ${state.loss} points of the teacher here.`
      : "These two are not compared at this quality.";
  }

  function show() {
    for (const id of ["a", "b"]) element(id).value = state[id];
    if (state.a === state.b) {
      element("pair").replaceChildren(make("p", { class: "note" }, "Choose two different methods."));
      return;
    }
    element("pair").replaceChildren(
      ...sc2.shown().map((benchmark) => {
        const equal = benchmark.equal_quality.find((one) => isPair(one) && String(one.loss) === state.loss);
        const bytes = benchmark.equal_bytes.filter(isPair).sort((p, q) => p.bytes - q.bytes);
        const list = bytes.length
          ? make(
              "details",
              {},
              make("summary", {}, "At about equal bytes, image by image"),
              make("ul", {}, ...bytes.map((one) => make("li", {}, one.text))),
            )
          : null;
        return make(
          "div",
          { "data-benchmark": benchmark.name },
          make("p", {}, make("span", { class: "bench" }, benchmark.title), equal ? equal.text : missing(benchmark)),
          make("p", { class: "even" }, breakEvenText(benchmark) || ""),
          list,
        );
      }),
    );
  }

  /** Each method that keeps the quality, at the channel that is set: the charts' numbers as a table. */
  function modelled() {
    const box = element("modelled");
    if (box.hidden) return;
    const names = [
      "Method",
      "Point",
      "Bytes",
      "Device (ms)",
      "Server (ms)",
      "Mean (ms)",
      "p50 (ms)",
      "p95 (ms)",
      "p99 (ms)",
      `Later than ${msText(state.deadline)} (%)`,
      `Break-even with ${title(state.a)}`,
    ];
    box.replaceChildren(
      ...sc2.shown().map((benchmark) => {
        const points = sc2
          .chosen(benchmark)
          .sort((p, q) => sc2.latency(p, sc2.channel()) - sc2.latency(q, sc2.channel()));
        const against = sc2.reaching(benchmark).find((p) => p.curve.method === state.a);
        const rows = points.map((p) => {
          const stats = ["mean", "50", "95", "99"].map((stat) => number(sc2.latency(p, sc2.channel(), stat)));
          const cells = [
            number(p.times.local ? 0 : p.images.mean, 4),
            number(p.times.device[0] * state.slow),
            number(p.times.local ? 0 : p.times.server[0]),
            ...stats,
            number(sc2.missed(p, sc2.channel(), state.deadline)),
            even(p, against),
          ];
          const open = make("button", { type: "button", class: "point", click: () => sc2.open(sc2.key(p)) }, p.label);
          return make(
            "tr",
            {},
            make("th", { scope: "row" }, sc2.title(p.curve)),
            make("td", {}, open),
            ...cells.map((cell) => make("td", { class: "number" }, cell)),
          );
        });
        const heads = names.map((one, i) => make("th", { scope: "col", class: i > 1 ? "number" : undefined }, one));
        const where = `Measured on ${benchmark.cpus.join(", ") || "no machine"}, one thread; bytes per image as a packet of a session.`;
        return make(
          "div",
          {},
          make(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": `Latency on ${benchmark.title}` },
            make(
              "table",
              {},
              make(
                "caption",
                {},
                `${benchmark.title}: ${rateText(state.rate)}, round trip ${msText(state.rtt)}, at most ${state.loss} points below the teacher`,
              ),
              make("thead", {}, make("tr", {}, ...heads)),
              make("tbody", {}, ...rows),
            ),
          ),
          make("p", { class: "note" }, where),
        );
      }),
    );
  }

  function even(point, against) {
    if (!against || against === point) return "–";
    const { fewer, rate } = sc2.breakEven(point, against, sc2.channel());
    const first = fewer === point;
    if (rate === Infinity) return first ? "always faster" : "never faster";
    if (rate === 0) return first ? "never faster" : "always faster";
    return `faster ${first ? "below" : "above"} ${rateText(rate)}`;
  }

  window.sc2 = { ...window.sc2, chooseDefault, choices, pair: show, modelled };
})();
