"use strict";
// The box beside a point, and the way through a chart by keyboard.
(() => {
  const { make } = sc2;
  const tip = document.getElementById("tip");
  const find = (key) =>
    sc2.content.benchmarks.flatMap((b) => b.curves.flatMap((c) => c.points)).find((p) => sc2.key(p) === key);
  const list = (pairs) =>
    make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));

  function fill(datum) {
    const point = datum.key && find(datum.key);
    tip.replaceChildren(make("strong", {}, datum.said), point ? list(sc2.facts(point)) : "");
    tip.hidden = false;
  }
  function move(x, y) {
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 16 + height > innerHeight ? Math.max(4, y - height - 12) : y + 16}px`;
  }
  function show(event, datum) {
    if (!datum || !datum.said) {
      tip.hidden = true;
      sc2.highlight(null);
      return;
    }
    fill(datum);
    move(event.clientX, event.clientY);
    sc2.highlight(datum.method);
  }

  /** Arrow keys in a chart: along a curve, to the next curve; Enter opens, Escape leaves. */
  function keys(plot, view, chart) {
    const curves = [...new Set(chart.points.map((d) => d.curve))].map((name) =>
      chart.points.filter((d) => d.curve === name).sort((p, q) => p.x - q.x),
    );
    const said = make("span", { class: "skip", role: "status" }),
      ring = make("div", { class: "ring", hidden: true });
    plot.parentElement.append(said, ring);
    let curve = 0,
      index = -1;
    const leave = () => {
      ring.hidden = true;
      tip.hidden = true;
      sc2.highlight(null);
    };
    function go(toCurve, toIndex) {
      curve = (toCurve + curves.length) % curves.length;
      index = Math.max(0, Math.min(toIndex, curves[curve].length - 1));
      const datum = curves[curve][index],
        [left, top] = view.origin(),
        padding = view.padding();
      const x = plot.offsetLeft + left + padding.left + view.scale("x")(datum.x),
        y = plot.offsetTop + top + padding.top + view.scale("y")(datum.y);
      Object.assign(ring.style, { left: `${x}px`, top: `${y}px` });
      ring.hidden = false;
      fill(datum);
      const box = ring.getBoundingClientRect();
      move(box.right - 10, box.bottom - 10);
      sc2.highlight(datum.method);
      const point = find(datum.key);
      said.textContent = `${datum.said}: ${sc2
        .facts(point)
        .map(([name, value]) => `${name} ${value}`)
        .join("; ")}`;
    }
    const moves = {
      ArrowRight: () => go(curve, index + 1),
      ArrowLeft: () => go(curve, index - 1),
      ArrowDown: () => go(curve + 1, index),
      ArrowUp: () => go(curve - 1, index),
      Home: () => go(curve, 0),
      End: () => go(curve, Infinity),
      Escape: leave,
      Enter: () => index >= 0 && sc2.open(curves[curve][index].key),
    };
    plot.addEventListener("keydown", (event) => {
      if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      moves[event.key]();
    });
    plot.addEventListener("blur", leave);
  }

  window.sc2 = {
    ...window.sc2,
    tip: show,
    keys,
    find,
    list,
    hideTip: () => {
      tip.hidden = true;
    },
  };
})();
