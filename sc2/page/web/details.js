"use strict";
// What is known of one point: numbers, where it comes from, the command that rebuilds it. Also pictures, enlarged.
(() => {
  const { make, state } = sc2;
  const dialog = document.getElementById("details"),
    body = document.getElementById("details-body"),
    heading = document.getElementById("details-title");

  /** A command with a button that copies it. */
  function command(text) {
    const button = make(
      "button",
      {
        type: "button",
        click: async () => {
          button.textContent = (await copy(text)) ? "Copied" : "Select and copy";
        },
      },
      "Copy",
    );
    return make("div", { class: "command" }, make("pre", { tabindex: "0" }, text), button);
  }
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    } // a file opened without permission
  }

  function open(key) {
    const point = sc2.find(key);
    if (!point) return;
    heading.textContent = `${sc2.name(point)} on ${point.benchmark.title}`;
    const runs = point.runs.flatMap((run) => [
      make("h3", {}, point.runs.length > 1 ? `Seed ${run.seed}` : "Where it comes from"),
      run.dirty
        ? make(
            "p",
            { class: "warning" },
            "This run was made from a tree with uncommitted changes: its commit alone does not rebuild it.",
          )
        : null,
      make("pre", { tabindex: "0" }, run.trace),
      make("h3", {}, run.commit ? `To rebuild it at commit ${run.commit.slice(0, 12)}` : "To rebuild it"),
      command(run.command),
    ]);
    body.replaceChildren(sc2.list(sc2.facts(point)), ...runs.filter(Boolean));
    sc2.hideTip();
    if (state.point !== key) sc2.change({ point: key }, "point");
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
  dialog.addEventListener("close", () => {
    if (state.point) sc2.change({ point: "" }, "point");
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });

  function enlarge(picture) {
    heading.textContent = picture.title;
    body.replaceChildren(make("img", { src: picture.src, alt: picture.alt }));
    dialog.showModal();
  }

  function pictures() {
    document
      .getElementById("pictures")
      .replaceChildren(
        ...sc2
          .shown()
          .flatMap((benchmark) =>
            benchmark.pictures.map((picture) =>
              make(
                "figure",
                {},
                make(
                  "button",
                  { type: "button", "aria-label": `Enlarge: ${picture.title}`, click: () => enlarge(picture) },
                  make("img", { src: picture.src, alt: picture.alt, loading: "lazy" }),
                ),
                make("figcaption", {}, picture.title),
              ),
            ),
          ),
      );
    if (!document.getElementById("pictures").childElementCount)
      document.getElementById("pictures").append(make("p", { class: "note" }, "These tasks have no pictures."));
  }

  window.sc2 = { ...window.sc2, open, pictures, copy };
})();
