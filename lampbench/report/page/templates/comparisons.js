
// ---- two methods side by side

{
  const form = document.querySelector("form.compare");
  const packed = document.querySelectorAll("script.comparisons");
  const STEP = 50; // queries that are put on the page at a time
  let rows = [];
  let shown = 0;

  function text(title, content) {
    return [make("p", { classes: "facts" }, title),
      make("p", { classes: "text", dir: "auto" }, content ?? "none")];
  }

  function card(title, score, answer) {
    return make("div", { classes: "card" },
      make("h3", {}, make("bdi", {}, title)), ...text(score.toFixed(3), answer));
  }

  function item({ query, difference, ours, theirs }, methods) {
    const head = make("summary", {}, make("b", {}, signed(difference, 3)), " ",
      make("bdi", {}, query.user), ", query ", make("bdi", {}, query.query));
    const details = make("details", { classes: "run" }, head);
    details.addEventListener("toggle", () => {
      if (!details.open || details.dataset.filled) return;
      details.dataset.filled = "yes";
      const asked = query.fields.flatMap(([name, value]) => text(name, value));
      details.append(make("div", { classes: "card reference" }, ...asked,
        ...text("what the user wrote", query.reference)),
      make("div", { classes: "answers" },
        ...[ours, theirs].map((i) => card(methods[i], query.scores[i], query.answers[i]))));
    });
    return details;
  }

  function more(methods) {
    const next = rows.slice(shown, shown + STEP);
    document.getElementById("queries").append(...next.map((row) => item(row, methods)));
    shown += next.length;
    document.getElementById("more").hidden = shown === rows.length;
  }

  function summary(differences) {
    const count = (test) => differences.filter(test).length;
    const mean = differences.reduce((a, b) => a + b, 0) / differences.length;
    return `${differences.length} queries, mean difference ${signed(mean, 3)}: better for ` +
      `${count((d) => d > 0)}, equal for ${count((d) => d === 0)}, worse for ${count((d) => d < 0)}.`;
  }

  async function compare() {
    const { methods, queries } = await read(packed[form.task.value]);
    const [ours, theirs] = [Number(form.ours.value), Number(form.theirs.value)];
    rows = queries
      .filter(({ scores }) => scores[ours] !== null && scores[theirs] !== null)
      .map((query) => ({ query, ours, theirs, difference: query.scores[ours] - query.scores[theirs] }));
    rows.sort((a, b) => Number(form.order.value) * (a.difference - b.difference));
    shown = 0;
    document.getElementById("queries").replaceChildren();
    document.getElementById("more").onclick = () => more(methods);
    document.getElementById("summary").textContent = rows.length
      ? summary(rows.map((row) => row.difference)) : "No query was answered by both.";
    const title = form.task.selectedOptions[0].textContent;
    document.getElementById("link").href =
      "#compare=" + [title, methods[ours], methods[theirs]].map(encodeURIComponent).join("&");
    more(methods);
  }

  function offer(select, titles, chosen) {
    select.replaceChildren(...titles.map((title, i) => make("option", { value: i }, title)));
    select.value = chosen;
  }

  async function pick(ours = -1, theirs = 0) {
    const { methods } = await read(packed[form.task.value]);
    offer(form.ours, methods, ours < 0 ? methods.length - 1 : ours);
    offer(form.theirs, methods, theirs);
    await compare();
  }

  // a permalink names the task and both methods, which stay the same when others are recorded
  async function openLinked() {
    if (!location.hash.startsWith("#compare=")) return pick();
    const [title, ours, theirs] = location.hash.slice("#compare=".length).split("&").map(decodeURIComponent);
    const place = [...form.task.options].findIndex((option) => option.textContent === title);
    if (place < 0) return pick();
    form.task.value = place;
    const { methods } = await read(packed[place]);
    return pick(methods.indexOf(ours), Math.max(methods.indexOf(theirs), 0));
  }

  if (form) {
    form.task.addEventListener("change", () => pick());
    for (const name of ["ours", "theirs", "order"]) form[name].addEventListener("change", compare);
    form.addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("hashchange", () => {
      if (location.hash.startsWith("#compare=")) openLinked();
    });
    form.hidden = false;
    openLinked();
  }
}
