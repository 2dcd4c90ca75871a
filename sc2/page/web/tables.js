"use strict";
// Tables: sorted by any column, filtered by words, downloaded as CSV.
(() => {
  const { content, state, make } = sc2;
  const element = (id) => document.getElementById(id);

  /** The rows of a CSV text; fields may be quoted. */
  function parse(text) {
    const rows = [[]];
    let field = "",
      quoted = false;
    for (let i = 0; i < text.length; i++) {
      const letter = text[i];
      if (quoted) {
        if (letter !== '"') field += letter;
        else if (text[i + 1] === '"') {
          field += '"';
          i++;
        } else quoted = false;
      } else if (letter === '"') quoted = true;
      else if (letter === "," || letter === "\n") {
        rows.at(-1).push(field);
        field = "";
        if (letter === "\n") rows.push([]);
      } else field += letter;
    }
    if (field || rows.at(-1).length) rows.at(-1).push(field);
    else rows.pop();
    return rows;
  }
  const written = (rows) =>
    rows
      .map((row) => row.map((f) => (/[",\n]/.test(f) ? `"${f.replaceAll('"', '""')}"` : f)).join(",") + "\n")
      .join("");

  const known = new Map();
  function rowsOf(benchmark, table) {
    const key = `${benchmark.name}/${table}`;
    if (!known.has(key)) known.set(key, parse(benchmark.tables[table]));
    return known.get(key);
  }

  function current() {
    const [name, table] = state.table.split("/");
    const benchmark = content.benchmarks.find((one) => one.name === name) || content.benchmarks[0];
    const chosen = benchmark.tables[table] === undefined ? Object.keys(benchmark.tables)[0] : table;
    const [header, ...all] = rowsOf(benchmark, chosen);
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = all.filter((row) => {
      const text = row.join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const isNumber = header.map(
      (_, column) =>
        all.some((row) => row[column] !== "") &&
        all.every((row) => row[column] === "" || !Number.isNaN(Number(row[column]))),
    );
    const [column, order] = [header.indexOf(state.sort.replace(/^-/, "")), state.sort.startsWith("-") ? -1 : 1];
    if (column >= 0) rows.sort((one, two) => order * compare(one[column], two[column], isNumber[column], order));
    return { benchmark, chosen, header, rows, all, isNumber, column, order };
  }
  /** Empty fields come last, whichever way the others are sorted. */
  function compare(one, two, numbers, order) {
    if (one === "" || two === "") return one === two ? 0 : order * (one === "" ? 1 : -1);
    return numbers ? one - two : one.localeCompare(two);
  }

  const words = (name) => name.replaceAll("_", " ");
  function show() {
    const { benchmark, chosen, header, rows, all, isNumber, column, order } = current();
    element("table-benchmark").value = benchmark.name;
    element("table-name").replaceChildren(
      ...Object.keys(benchmark.tables).map((name) =>
        make("option", { value: name, selected: name === chosen }, words(name)),
      ),
    );
    const heads = header.map((name, i) =>
      make(
        "th",
        {
          scope: "col",
          class: isNumber[i] ? "number" : undefined,
          "aria-sort": i === column ? (order > 0 ? "ascending" : "descending") : undefined,
        },
        make(
          "button",
          {
            type: "button",
            "data-column": name,
            click: () => {
              sc2.change({ sort: i === column && order > 0 ? `-${name}` : name }, "table");
              element("table").querySelector(`[data-column="${name}"]`).focus();
            },
          },
          words(name),
        ),
      ),
    );
    const lines = rows.map((row) => {
      const line = make("tr");
      row.forEach((field, i) => {
        const cell = line.insertCell();
        cell.textContent = field;
        if (isNumber[i]) cell.className = "number";
      });
      return line;
    });
    element("table").replaceChildren(make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines));
    element("table-said").textContent =
      `${words(chosen)} of ${benchmark.title}: ${rows.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} rows. Columns are described in docs/metrics.md.`;
  }

  function download(text, name) {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function start() {
    element("table-benchmark").replaceChildren(
      ...content.benchmarks.map((one) => make("option", { value: one.name }, one.title)),
    );
    element("table-benchmark").addEventListener("change", (event) =>
      sc2.change({ table: `${event.target.value}/${current().chosen}` }, "table"),
    );
    element("table-name").addEventListener("change", (event) =>
      sc2.change({ table: `${current().benchmark.name}/${event.target.value}`, sort: "" }, "table"),
    );
    element("filter").addEventListener("input", (event) => sc2.change({ filter: event.target.value }, "table"));
    element("csv").addEventListener("click", () => {
      const { benchmark, chosen } = current();
      download(benchmark.tables[chosen], `${benchmark.name}_${chosen}.csv`);
    });
    element("csv-shown").addEventListener("click", () => {
      const { benchmark, chosen, header, rows } = current();
      download(written([header, ...rows]), `${benchmark.name}_${chosen}_shown.csv`);
    });
  }

  window.sc2 = { ...window.sc2, tables: show, startTables: start, parseCsv: parse, writeCsv: written };
})();
