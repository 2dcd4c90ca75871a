"use strict";
// Everything that is switched, chosen or slid: each control writes the state, and shows what the state says.
(() => {
  const { content, state, make, rateText, msText } = sc2;
  const element = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  function svg(tag, attributes, ...children) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }
  /** Line and marker of a method, as in the charts. */
  function swatch(method) {
    const look = content.methods[method].looks[0],
      colour = look[sc2.isDark() ? "dark" : "light"];
    const size = 5 * look.size;
    const line = look.line
      ? [
          svg("line", {
            x1: 1,
            x2: 33,
            y1: 8,
            y2: 8,
            stroke: colour,
            "stroke-width": 2,
            "stroke-dasharray": look.dash.map((d) => d / 1.4).join(" "),
          }),
        ]
      : [];
    return svg(
      "svg",
      { width: 34, height: 16, viewBox: "0 0 34 16", "aria-hidden": "true" },
      ...line,
      svg("path", { d: look.shape, fill: colour, transform: `translate(17 8) scale(${size})` }),
    );
  }

  const present = () => new Set(sc2.shown().flatMap((benchmark) => benchmark.curves.map((curve) => curve.method)));
  function toggle(methods, isOn) {
    const off = new Set(state.off);
    for (const method of methods) isOn ? off.delete(method) : off.add(method);
    sc2.change({ off: [...off] }, "methods");
  }

  /** Methods by family; a family's box is half checked where only some of its methods are on. */
  function legend() {
    const here = present(),
      focused = document.activeElement && document.activeElement.id;
    const families = content.families.map((family) => {
      const own = Object.keys(content.methods).filter(
        (name) => here.has(name) && content.methods[name].family === family.name,
      );
      if (!own.length) return null;
      const off = own.filter((name) => state.off.includes(name)).length;
      const box = make("input", {
        type: "checkbox",
        id: `family-${family.name}`,
        change: (event) => toggle(own, event.target.checked),
      });
      box.checked = off < own.length;
      box.indeterminate = off > 0 && off < own.length;
      const items = own.map((name) => {
        const one = make("input", {
          type: "checkbox",
          id: `method-${name}`,
          change: (event) => toggle([name], event.target.checked),
        });
        one.checked = !state.off.includes(name);
        const hot = () => sc2.highlight(name),
          cold = () => sc2.highlight(null);
        return make(
          "li",
          {},
          make(
            "label",
            { mouseenter: hot, mouseleave: cold, focusin: hot, focusout: cold },
            one,
            swatch(name),
            content.methods[name].title,
          ),
        );
      });
      return make(
        "div",
        { class: "family", role: "group", "aria-label": family.title },
        make("label", {}, box, family.title),
        make("ul", {}, ...items),
      );
    });
    element("legend").replaceChildren(...families.filter(Boolean));
    if (focused && element(focused)) element(focused).focus();
    const all = here.size,
      off = [...here].filter((name) => state.off.includes(name)).length;
    element("legend-count").textContent = `${all - off} of ${all}`;
  }

  function views() {
    element("views").replaceChildren(
      ...Object.entries(sc2.views).map(([name, view]) =>
        make(
          "button",
          {
            type: "button",
            role: "tab",
            id: `view-${name}`,
            "aria-selected": String(state.view === name),
            "aria-controls": "charts",
            tabindex: state.view === name ? "0" : "-1",
            click: () => sc2.change({ view: name }),
            keydown: (event) => step(event, name),
          },
          view.title,
        ),
      ),
    );
    element("view-note").textContent = sc2.views[state.view].note;
    for (const part of document.querySelectorAll("[data-views]"))
      part.hidden = !part.dataset.views.split(" ").includes(state.view);
    element("options").hidden = ![...element("options").querySelectorAll("label")].some((label) => !label.hidden);
  }
  function step(event, name) {
    const names = Object.keys(sc2.views),
      by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = names[(names.indexOf(name) + by + names.length) % names.length];
    sc2.change({ view: next });
    element(`view-${next}`).focus();
  }

  function tasks() {
    const focused = document.activeElement && document.activeElement.id;
    element("tasks").replaceChildren(
      ...content.benchmarks.map((benchmark) => {
        const box = make("input", {
          type: "checkbox",
          id: `task-${benchmark.name}`,
          change: (event) => {
            const names = content.benchmarks
              .map((one) => one.name)
              .filter((name) => (name === benchmark.name ? event.target.checked : state.tasks.includes(name)));
            sc2.change({ tasks: names.length ? names : [benchmark.name] });
          },
        });
        box.checked = state.tasks.includes(benchmark.name);
        return make("label", { class: "check", title: benchmark.title }, box, taskTitle(benchmark));
      }),
    );
    if (focused && element(focused)) element(focused).focus();
  }
  /** The task, and the benchmark's title where several have the task. */
  function taskTitle(benchmark) {
    const alone = content.benchmarks.filter((one) => one.task === benchmark.task).length === 1;
    return alone ? benchmark.task : `${benchmark.task}: ${benchmark.title}`;
  }

  const levels = () =>
    content.losses.map((loss) =>
      make("option", { value: String(loss) }, `at most ${loss} point${loss === 1 ? "" : "s"} below the teacher`),
    );
  const sliders = {
    rate: { to: (v) => 10 ** v, from: (x) => Math.log10(x), text: rateText },
    rtt: { to: (v) => Math.round(10 ** v) - 1, from: (x) => Math.log10(x + 1), text: msText },
    deadline: { to: (v) => 10 ** v, from: (x) => Math.log10(x), text: msText },
    slow: { to: (v) => 10 ** v, from: (x) => Math.log10(x), text: (x) => `${sc2.number(x, 2)} ×` },
  };
  const tidy = (value) => Number(value.toPrecision(3));

  function channelControls() {
    for (const [name, slider] of Object.entries(sliders)) {
      const input = element(name);
      if (document.activeElement !== input) input.value = slider.from(state[name]);
      input.setAttribute("aria-valuetext", slider.text(state[name]));
      element(`${name}-out`).textContent = slider.text(state[name]);
    }
    element("presets").replaceChildren(
      ...content.presets.map(({ name, title, channel }) =>
        make(
          "button",
          {
            type: "button",
            id: `preset-${name}`,
            "aria-pressed": String(channel.kbit_s === state.rate && channel.rtt_ms === state.rtt),
            click: () => {
              sc2.change({ rate: channel.kbit_s, rtt: channel.rtt_ms }, "channel");
              element(`preset-${name}`).focus();
            },
          },
          `${title}: ${rateText(channel.kbit_s)}, ${msText(channel.rtt_ms)}`,
        ),
      ),
    );
  }
  function sources() {
    const box = element("preset-sources");
    const lines = content.presets.map((p) =>
      make(
        "li",
        {},
        `${p.title}: rate from ${p.rate_source} (${p.rate_reading}); round trip from ${p.rtt_source} (${p.rtt_reading})`,
      ),
    );
    box.replaceWith(
      make(
        "details",
        { class: "note", id: "preset-sources" },
        make("summary", {}, "Where the presets are from (read in the source, or computed from it)"),
        make("ul", {}, ...lines),
      ),
    );
  }

  function simple() {
    for (const name of ["x", "cost", "stat", "loss"]) element(name).value = state[name];
    element("pair-loss").value = state.loss;
    for (const name of ["bands", "published"]) element(name).checked = state[name] === "on";
    element("theme").value = state.theme;
    element("filter").value === state.filter || (element("filter").value = state.filter);
    const has = sc2.shown().some((benchmark) => benchmark.published.length);
    element("published").disabled = !has;
    element("published").parentElement.title = has ? "" : "Nothing is published of these benchmarks";
  }

  function start() {
    for (const id of ["loss", "pair-loss"]) {
      element(id).append(...levels());
      element(id).addEventListener("change", (event) => sc2.change({ loss: event.target.value }));
    }
    for (const name of ["x", "cost", "stat", "theme"])
      element(name).addEventListener("change", (event) => sc2.change({ [name]: event.target.value }));
    for (const name of ["bands", "published"])
      element(name).addEventListener("change", (event) => sc2.change({ [name]: event.target.checked ? "on" : "off" }));
    for (const [name, slider] of Object.entries(sliders))
      element(name).addEventListener("input", (event) =>
        sc2.change({ [name]: tidy(slider.to(Number(event.target.value))) }, "channel"),
      );
    element("all").addEventListener("click", () => toggle(Object.keys(content.methods), true));
    element("none").addEventListener("click", () => toggle(Object.keys(content.methods), false));
    element("link").addEventListener("click", async () => {
      element("link-said").textContent = (await sc2.copy(location.href))
        ? "Copied."
        : "The address of this page is the link: copy it from the address bar.";
    });
    sources();
  }

  window.sc2 = {
    ...window.sc2,
    startControls: start,
    legend,
    viewControls: views,
    taskControls: tasks,
    channelControls,
    simpleControls: simple,
    taskTitle,
  };
})();
