"use strict";
// What each chart shows, as data; how Vega draws it is in drawing.js.
(() => {
  const { state, content, number, msText, rateText } = sc2;
  const KB = 1024;
  const RATES = Array.from({ length: 121 }, (_, i) => 10 ** (1 + i / 30));

  /** The curves of a benchmark that are switched on. */
  const on = (benchmark) => benchmark.curves.filter((curve) => !state.off.includes(curve.method));

  const interval = ([value, low, high], unit = "", digits = 3) =>
    `${number(value, digits)}${unit}` +
    (low === null || high === null ? "" : ` (${number(low, digits)} … ${number(high, digits)})`);

  /** What is said of a point when it is pointed at, as pairs of name and value. */
  function facts(point) {
    const { quality, teacher } = point.benchmark,
      times = point.times;
    const told = [
      [quality.label, interval(point.quality, "")],
      ["Bytes, mean", interval(point.bytes, "", 4)],
      ["Bytes, 95th percentile", number(point.p95, 4)],
      [
        "Encoder",
        `${number(point.kb)} KB, ${number(point.macs)} MACs (${number((100 * point.macs) / teacher.macs)} % of the teacher)`,
      ],
    ];
    if (times) {
      told.push(["Device", interval(times.device, " ms")], ["Server", interval(times.server, " ms")]);
      told.push([
        "At this channel",
        `${msText(sc2.latency(point, sc2.channel()))} (95 % of images within ${msText(sc2.latency(point, sc2.channel(), "95"))})`,
      ]);
    }
    told.push([point.seeds.length > 1 ? "Seeds" : "Run", point.runs.map((run) => run.record).join(", ")]);
    return told;
  }

  const name = (point) => `${sc2.title(point.curve)} ${point.label}`;
  /** One datum of a chart. */
  function datum(point, x, y, more = {}) {
    return {
      key: sc2.key(point),
      method: point.curve.method,
      curve: sc2.title(point.curve),
      x,
      y,
      dash: sc2.look(point.curve).dash,
      line: sc2.look(point.curve).line,
      colour: sc2.colour(point.curve),
      shape: sc2.look(point.curve).shape,
      area: 90 * sc2.look(point.curve).size ** 2,
      said: name(point),
      hollow: false,
      faint: false,
      ...more,
    };
  }

  const cost = { kb: (p) => p.kb, macs: (p) => p.macs, ms: (p) => p.times && p.times.device[0] };
  const costTitle = { kb: "Encoder (KB)", macs: "MACs of the encoder", ms: "Time on the device (ms)" };

  const views = {
    rate: {
      title: "Rate and quality",
      note: "Up and to the left is better. The dashed line is the teacher, the network without compression.",
      of(benchmark) {
        const points = on(benchmark).flatMap((curve) =>
          curve.points.map((p) =>
            datum(p, p.bytes[0], p.quality[0], {
              low: p.quality[1],
              high: p.quality[2],
              left: p.bytes[1],
              right: p.bytes[2],
            }),
          ),
        );
        return {
          points,
          extra: published(benchmark),
          x: "Bytes per image",
          y: benchmark.quality.label,
          xScale: state.x,
          yScale: "linear",
          rules: [teacher(benchmark)],
        };
      },
    },
    exrd: {
      title: "ExR–D",
      note: "The size of the encoder times the bytes per image, as the papers combine the two costs. A codec has no encoder to ship: its product is zero, and it is not drawn.",
      of(benchmark) {
        const points = on(benchmark).flatMap((curve) =>
          curve.points
            .filter((p) => p.kb > 0)
            .map((p) => datum(p, (p.kb * p.bytes[0]) / KB, p.quality[0], { low: p.quality[1], high: p.quality[2] })),
        );
        return {
          points,
          x: "Encoder × bytes per image (KB × KB)",
          y: benchmark.quality.label,
          xScale: state.x,
          yScale: "linear",
          rules: [teacher(benchmark)],
        };
      },
    },
    three: {
      title: "Three-way",
      note: "Bytes against the cost of the encoder: down and to the left is better. Full markers keep the chosen quality, faint ones do not; the line joins those that nothing beats in both. What costs the device nothing stands on the lower edge.",
      of(benchmark) {
        const needed = benchmark.teacher.quality - Number(state.loss);
        const all = on(benchmark)
          .flatMap((curve) => curve.points)
          .filter((p) => cost[state.cost](p) !== null);
        const positive = all.map(cost[state.cost]).filter((value) => value > 0);
        const least = positive.length ? Math.min(...positive) / 3 : 1;
        const points = all.map((p) =>
          datum(p, p.bytes[0], Math.max(cost[state.cost](p), least), { line: false, faint: p.quality[0] < needed }),
        );
        const kept = points.filter((d) => !d.faint).sort((one, two) => one.x - two.x || one.y - two.y);
        let best = Infinity;
        const front = kept.filter((d) => d.y < best && ((best = d.y), true)).map(({ x, y }) => ({ x, y }));
        return {
          points,
          front,
          x: "Bytes per image",
          y: costTitle[state.cost],
          xScale: state.x,
          yScale: "log",
          rules: [],
        };
      },
    },
    latency: {
      title: "Latency",
      note: "End-to-end latency against the rate of the uplink: of each method the point with the fewest bytes that keeps the chosen quality. Rings: where the two methods compared below take the same time.",
      of(benchmark) {
        const curves = chosen(benchmark),
          stat = state.stat;
        const points = curves.map((p) => datum(p, state.rate, sc2.latency(p, sc2.channel(), stat)));
        const lines = curves.flatMap((p) =>
          RATES.map((rate) =>
            datum(p, rate, sc2.latency(p, { ...sc2.channel(), rate }, stat), {
              line: true,
              dash: sc2.look(p.curve).line ? sc2.look(p.curve).dash : [1, 3],
            }),
          ),
        );
        return {
          points,
          lines,
          x: "Uplink (kbit/s)",
          y: "Latency (ms)",
          xScale: "log",
          yScale: "log",
          rules: [
            { x: state.rate, text: rateText(state.rate) },
            { y: state.deadline, text: `deadline ${msText(state.deadline)}` },
          ],
          rings: rings(benchmark),
        };
      },
    },
    deadline: {
      title: "Deadline",
      note: "The share of the test images whose answer comes later than a time: of each method the point with the fewest bytes that keeps the chosen quality. The upright line is the deadline.",
      of(benchmark) {
        const curves = chosen(benchmark);
        const lines = curves.flatMap((p) =>
          late(p).map(([x, y]) =>
            datum(p, x, y, { line: true, dash: sc2.look(p.curve).line ? sc2.look(p.curve).dash : [1, 3] }),
          ),
        );
        const points = curves.map((p) => datum(p, sc2.latency(p, sc2.channel(), "50"), 50));
        return {
          points,
          lines,
          x: "Latency (ms)",
          y: "Images that come later (%)",
          xScale: "log",
          yScale: "linear",
          rules: [{ x: state.deadline, text: `deadline ${msText(state.deadline)}` }],
        };
      },
    },
  };

  const chosen = (benchmark) => sc2.reaching(benchmark).filter((p) => p && !state.off.includes(p.curve.method));
  const teacher = (benchmark) => ({
    y: benchmark.teacher.quality,
    text: "",
    teacher: true,
  });

  /** The share of images that are late, as a falling staircase of at most 101 steps. */
  function late(point) {
    return Array.from({ length: 101 }, (_, i) => [sc2.latency(point, sc2.channel(), String(i)), 100 - i]);
  }

  /** Published points of the curves that are on. */
  function published(benchmark) {
    if (state.published !== "on") return [];
    return benchmark.published.flatMap((one) => {
      const curve = on(benchmark).find((c) => c.method === one.method && c.curve === one.curve);
      return curve
        ? one.data_bytes.map((bytes, i) =>
            datum(curve.points[0], bytes, one.quality[i], {
              key: "",
              hollow: true,
              line: false,
              said: `${sc2.title(curve)}, published: ${number(one.quality[i])} % at ${number(bytes)} bytes`,
            }),
          )
        : [];
    });
  }

  /** Where the two methods that are compared break even, if that is on the chart. */
  function rings(benchmark) {
    const pair = sc2.pairOf(benchmark, state.loss);
    if (!pair) return [];
    const { rate } = sc2.breakEven(...pair, sc2.channel());
    return rate >= RATES[0] && rate <= RATES.at(-1)
      ? [{ x: rate, y: sc2.latency(pair[0], { ...sc2.channel(), rate }), text: `same at ${rateText(rate)}` }]
      : [];
  }

  /** The two points that are compared on a benchmark; nothing where one of the methods has none. */
  function pairOf(benchmark, loss) {
    const points = sc2.reaching(benchmark, loss);
    const pair = [state.a, state.b].map((method) => points.find((p) => p.curve.method === method));
    return pair[0] && pair[1] && state.a !== state.b ? pair : null;
  }

  window.sc2 = { ...window.sc2, views, facts, name, chosen, pairOf, on, content };
})();
