"use strict";
// What is shown, and the part of the address that says it: a link to a view is the page's address.
(() => {
  const { content } = sc2;
  for (const benchmark of content.benchmarks)
    for (const curve of benchmark.curves)
      for (const point of curve.points) {
        const least = point.times ? point.times.perByte[2] : 0;
        // A snapshot has no bytes per image, and nothing that is computed from them.
        Object.assign(point, { curve, benchmark, images: point.sizes && sc2.unpacked(point.sizes, least) });
      }

  const first = content.benchmarks.find((one) => one.task === "classification") || content.benchmarks[0];
  const defaults = () => ({
    view: "rate",
    tasks: [first.name],
    off: [],
    x: "log",
    cost: "kb",
    stat: "mean",
    loss: String(content.losses[2]),
    bands: "on",
    published: "on",
    rate: 6000,
    rtt: 70,
    deadline: 100,
    slow: 1,
    a: "",
    b: "",
    point: "",
    table: `${first.name}/rate_quality`,
    filter: "",
    sort: "",
    theme: "",
  });
  const lists = new Set(["tasks", "off"]),
    numbers = new Set(["rate", "rtt", "deadline", "slow"]);
  const state = defaults();

  /** Take the state from the address; what it does not name has its default, what it cannot be is left out. */
  function fromAddress() {
    const given = new URLSearchParams(location.hash.slice(1)),
      start = defaults();
    for (const key of Object.keys(start)) {
      const text = given.get(key);
      state[key] = text === null ? start[key] : lists.has(key) ? text.split(",").filter(Boolean) : text;
      if (numbers.has(key)) state[key] = Number(state[key]) >= 0 && state[key] !== "" ? Number(state[key]) : start[key];
    }
    for (const key of ["rate", "slow", "deadline"]) if (!(state[key] > 0)) state[key] = start[key];
    const known = new Set(content.benchmarks.map((one) => one.name));
    state.tasks = state.tasks.filter((name) => known.has(name));
    if (!state.tasks.length) state.tasks = start.tasks;
    if (!content.losses.map(String).includes(state.loss)) state.loss = start.loss;
  }

  /** Write what differs from the defaults into the address. */
  function toAddress() {
    const start = defaults(),
      said = new URLSearchParams();
    for (const [key, value] of Object.entries(state))
      if (String(value) !== String(start[key])) said.set(key, lists.has(key) ? value.join(",") : value);
    history.replaceState(null, "", `#${said}`);
  }

  const listeners = [];
  /** Change the state, write the address, and tell everyone who draws. */
  function change(changes, what = "all") {
    Object.assign(state, changes);
    toAddress();
    listeners.forEach((listener) => listener(what));
  }
  const onChange = (listener) => listeners.push(listener);

  const shown = () => content.benchmarks.filter((one) => state.tasks.includes(one.name));
  const title = (curve) => content.methods[curve.method].title + (curve.curve ? `, ${curve.curve}` : "");
  const look = (curve) => content.methods[curve.method].looks[curve.index];
  const isDark = () => document.documentElement.dataset.theme === "dark";
  const colour = (curve) => look(curve)[isDark() ? "dark" : "light"];
  const key = (point) => [point.benchmark.name, point.curve.method, point.point].join("/");
  const channel = () => ({ rate: state.rate, rtt: state.rtt, slow: state.slow });
  /** Of each method that is on, the point with the fewest bytes within a loss of quality, if it was timed. */
  function reaching(benchmark, loss = state.loss) {
    const found = benchmark.reached[loss] || {};
    const all = benchmark.curves.flatMap((curve) => curve.points);
    return Object.entries(found).map(([method, name]) =>
      all.find((p) => p.curve.method === method && p.point === name),
    );
  }
  const number = (value, digits = 3) =>
    value === null || value === undefined
      ? "–"
      : !Number.isFinite(value)
        ? "∞"
        : value.toLocaleString(
            "en",
            value >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits },
          );
  const rateText = (kbit) =>
    kbit >= 1e6
      ? `${number(kbit / 1e6)} Gbit/s`
      : kbit >= 1000
        ? `${number(kbit / 1000)} Mbit/s`
        : `${number(kbit)} kbit/s`;
  const msText = (ms) => (ms >= 1000 ? `${number(ms / 1000)} s` : `${number(ms)} ms`);

  /** Make an element: tag, attributes (functions are listeners), children (texts or elements). */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  window.sc2 = {
    ...window.sc2,
    content,
    state,
    change,
    onChange,
    fromAddress,
    shown,
    title,
    look,
    colour,
    key,
    channel,
    reaching,
    number,
    rateText,
    msText,
    make,
    isDark,
  };
})();
