
// ---- tables that sort

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const numeric = heads[column].classList.contains("number");
  const before = heads[column].getAttribute("aria-sort");
  const first = numeric ? "descending" : "ascending";
  const second = numeric ? "ascending" : "descending";
  const direction = before === first ? second : first;
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(one.cells[column], other.cells[column], numeric, sign));
  table.tBodies[0].append(...rows);
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", direction);
}

function compare(one, other, numeric, sign) {
  if (!numeric) return sign * one.textContent.localeCompare(other.textContent, "en");
  const [a, b] = [one.dataset.value, other.dataset.value];
  // cells without a number come last in both directions
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  return sign * (Number(a) - Number(b));
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(table, column));
  });
}

// ---- one metric at a time

for (const choice of document.querySelectorAll("fieldset.switch")) {
  const section = choice.closest("section");
  const tables = [...section.querySelectorAll(".metric")];
  const pick = () => {
    const chosen = Number(choice.querySelector("input:checked").value);
    tables.forEach((table, i) => { table.hidden = i !== chosen; });
  };
  choice.addEventListener("change", pick);
  choice.hidden = false;
  pick();
}

// ---- what is shown: a task, a model, a method

const filters = document.querySelector("form.filters");

function distinct(values) {
  return [...new Set(values)];
}

function label(cell) {
  return (cell.querySelector("bdi") ?? cell).textContent;
}

function filterTable(table, task, method) {
  const heads = [...table.tHead.rows[0].cells];
  const hidden = heads.map((head, i) => i > 0 && task !== "" && label(head) !== task);
  for (const row of [table.tHead.rows[0], ...table.tBodies[0].rows]) {
    [...row.cells].forEach((cell, i) => { cell.hidden = hidden[i]; });
  }
  for (const row of table.tBodies[0].rows) {
    row.hidden = method !== "" && label(row.cells[0]) !== method;
  }
}

function filter() {
  const [task, model, method] = ["task", "model", "method"].map((name) => filters[name].value);
  for (const section of document.querySelectorAll("section.setup")) {
    section.hidden = model !== "" && section.dataset.model !== model;
  }
  for (const table of document.querySelectorAll("table.filtered")) filterTable(table, task, method);
  for (const figure of document.querySelectorAll("figure")) {
    figure.hidden = task !== "" && !figure.dataset.title.startsWith(task);
  }
  for (const run of document.querySelectorAll("details.run")) {
    run.hidden = (task !== "" && !task.startsWith(run.dataset.task)) ||
      (method !== "" && !method.startsWith(run.dataset.method));
  }
}

function offer(select, values) {
  select.append(...distinct(values).map((value) => make("option", { value }, value)));
  select.closest("label").hidden = select.options.length < 3;
}

if (filters) {
  const tables = [...document.querySelectorAll("table.filtered")];
  offer(filters.task, tables.flatMap((table) => [...table.tHead.rows[0].cells].slice(1).map(label)));
  offer(filters.method, tables.flatMap((table) =>
    [...table.tBodies[0].rows].map((row) => label(row.cells[0]))));
  offer(filters.model, [...document.querySelectorAll("section.setup")].map((s) => s.dataset.model));
  filters.addEventListener("change", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = [...filters.querySelectorAll("label")].every((one) => one.hidden);
}

// ---- manifests, put in when they are opened

function shown(value) {
  if (value === null) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function listing(header, rows) {
  const cells = (row, name) => row.map((text) => make(name, {}, make("bdi", {}, text)));
  return make(
    "div", { classes: "scroll", tabindex: "0" },
    make("table", {},
      make("thead", {}, make("tr", {}, ...cells(header, "th"))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row, "td"))))));
}

function settings(parts) {
  const rows = Object.entries(parts).map(([name, part]) => {
    const whole = part !== null && typeof part === "object" && "value" in part;
    return whole ? [name, shown(part.value), shown(part.source ?? null)] : [name, shown(part), ""];
  });
  return listing(["Setting", "Value", "From"], rows);
}

function costs(list) {
  const names = [...new Set(list.flatMap((stage) => Object.keys(stage)))];
  names.sort((a, b) => (b === "stage") - (a === "stage"));
  return listing(names, list.map((stage) => names.map((name) => shown(stage[name] ?? null))));
}

function facts(entries) {
  return listing(["Name", "Value"], entries.map(([name, value]) => [name, shown(value)]));
}

async function fill(details) {
  const name = details.closest("[data-manifests]").dataset.manifests;
  const scripts = [...document.querySelectorAll("script.manifests")];
  const manifests = await read(scripts.find((script) => script.dataset.name === name));
  const numbered = manifests.manifests[Number(details.dataset.run)];
  const manifest = {};
  for (const [name, place] of Object.entries(numbered)) manifest[name] = manifests.values[place];
  const { hyperparameters, stages, ...rest } = manifest;
  const head = (text) => make("h4", {}, text);
  details.append(head("Settings"), settings(hyperparameters));
  if (Array.isArray(stages)) details.append(head("Stages"), costs(stages));
  const nested = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const entries = Object.entries(rest);
  details.append(head("Run"), facts(entries.filter(([, value]) => !nested(value))));
  for (const [name, value] of entries.filter(([, value]) => nested(value))) {
    details.append(head(name), facts(Object.entries(value)));
  }
}

for (const details of document.querySelectorAll("details.run")) {
  details.addEventListener("toggle", () => {
    if (details.open && !details.dataset.filled) {
      details.dataset.filled = "yes";
      fill(details);
    }
  });
}

// ---- examples

const form = document.querySelector("form.examples");
const setups = [...document.querySelectorAll("script.examples")];
let tasks = []; // of the setup that is shown

function marked(pieces) {
  const text = make("p", { classes: "text", dir: "auto" });
  pieces.forEach((piece, i) => text.append(i % 2 ? make("mark", {}, piece) : piece));
  return text;
}

function strip(tokens, rewards) {
  const most = Math.max(...rewards.map(Math.abs), 1e-9);
  const row = make("ol", { classes: "strip", dir: "ltr" });
  tokens.forEach((token, i) => {
    const kind = rewards[i] < 0 ? "against" : "for";
    const cell = make("li", { classes: kind }, make("bdi", {}, token.replaceAll("\n", "↵")),
      make("small", {}, signed(rewards[i], 2)));
    cell.style.setProperty("--share", (Math.abs(rewards[i]) / most).toFixed(3));
    row.append(cell);
  });
  return make("div", { classes: "rewards" },
    make("p", { classes: "facts" }, "Reward of each token, natural log: " +
      "solid rule for the user's model (+), dashed against it (−)."), row);
}

function history(answer) {
  if (!answer.history?.length) {
    return make("p", { classes: "facts" }, "History in the prompt: none.");
  }
  const texts = answer.history.map((text) => make("li", { dir: "auto" }, text));
  return make("details", {}, make("summary", {}, `History in the prompt: ${texts.length} texts`),
    make("ol", {}, ...texts));
}

function asked(fields) {
  if (!fields.length) return [];
  return [make("div", { classes: "card" }, make("h3", {}, "Query"),
    ...fields.flatMap(([name, text]) => [
      make("p", { classes: "facts" }, name),
      make("p", { classes: "text", dir: "auto" }, text),
    ]))];
}

function counts(answer) {
  const parts = [];
  if (answer.prompt_tokens !== undefined) parts.push(`prompt of ${answer.prompt_tokens} tokens`);
  if (answer.prompt_tokens_dropped) parts.push(`cut by ${answer.prompt_tokens_dropped}`);
  if (answer.new_tokens !== undefined) parts.push(`answer of ${answer.new_tokens}`);
  if (answer.truncated) parts.push("truncated at the token budget");
  return make("p", { classes: "facts" }, parts.join(", "));
}

function card(answer) {
  const scores = answer.scores.map(([title, value]) => `${title}\u00a0${value}`).join(" · ");
  const node = make("article", { classes: "card" },
    make("h3", {}, make("bdi", {}, answer.method)),
    make("p", { classes: "facts" }, `${scores || "not scored"} · seed ${answer.seed}`),
    marked(answer.pieces));
  if (answer.tokens) node.append(strip(answer.tokens, answer.rewards));
  node.append(counts(answer), history(answer));
  return node;
}

function show() {
  const task = tasks[form.task.value];
  const query = task.queries[form.query.value];
  const answers = make("div", { classes: "answers" }, ...query.answers.map(card));
  const withheld = query.reference === null;
  document.getElementById("where").replaceChildren(
    `Query ${Number(form.query.value) + 1} of the ${task.queries.length} shown; the runs hold ` +
      `${task.total}. User `, make("bdi", {}, query.user), ", query ",
    make("bdi", {}, query.query), ".");
  document.getElementById("example").replaceChildren(
    ...asked(query.fields),
    make("div", { classes: "card reference" }, make("h3", {}, "Reference"),
      make("p", { classes: "text", dir: "auto" }, withheld ? "withheld" : query.reference)),
    answers);
  const title = setups[form.setup.value].dataset.name;
  const place = [title, task.title, query.user, query.query];
  document.getElementById("example-link").href = "#example=" + place.map(encodeURIComponent).join("&");
  form.back.disabled = Number(form.query.value) === 0;
  form.next.disabled = Number(form.query.value) === task.queries.length - 1;
}

function options(select, titles) {
  select.replaceChildren(...titles.map((title, i) => make("option", { value: i }, title)));
}

function pickTask() {
  options(form.query, tasks[form.task.value].queries.map(({ user, query }) => `${user} · ${query}`));
  show();
}

async function pickSetup() {
  const chosen = setups[form.setup.value];
  const found = await read(chosen);
  if (chosen !== setups[form.setup.value]) return; // another was chosen meanwhile
  tasks = found;
  options(form.task, tasks.map((task) => task.title));
  pickTask();
}

// a permalink names setup, task, user and query, which stay the same when others are recorded
async function openLinked() {
  if (!location.hash.startsWith("#example=")) return;
  const [title, task, user, query] = location.hash.slice(9).split("&").map(decodeURIComponent);
  const setup = setups.findIndex((one) => one.dataset.name === title);
  const linked = setup < 0 ? [] : await read(setups[setup]);
  const place = linked.findIndex((one) => one.title === task);
  const found = linked[place]?.queries.findIndex((one) => one.user === user && one.query === query);
  if (found === undefined || found < 0) {
    document.getElementById("where").textContent = "The linked example is not on this page.";
  } else {
    form.setup.value = setup;
    await pickSetup();
    form.task.value = place;
    pickTask();
    form.query.value = found;
    show();
  }
  document.getElementById("examples").scrollIntoView();
}

function step(by) {
  form.query.value = Number(form.query.value) + by;
  show();
}

if (form) {
  document.getElementById("pick-setup").hidden = setups.length < 2;
  form.setup.addEventListener("change", pickSetup);
  form.task.addEventListener("change", pickTask);
  form.query.addEventListener("change", show);
  form.back.addEventListener("click", () => step(-1));
  form.next.addEventListener("click", () => step(1));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  pickSetup().then(openLinked);
  window.addEventListener("hashchange", openLinked);
}
