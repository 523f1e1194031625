"use strict";
// What moves on the page. All text and tables are in the HTML already: without this file they are
// still there, and only sorting, filtering, the slider and the drawn curves are missing.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const printing = matchMedia("print");
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

  // --- tables that sort ---------------------------------------------------------------------------

  for (const table of all("table[data-sortable]"))
    for (const button of all("thead button", table))
      button.addEventListener("click", () => sort(table, button.parentElement));

  function sort(table, head) {
    const column = [...head.parentElement.children].indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.children[column].dataset.value;
    const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a), value(b), down));
    table.tBodies[0].append(...rows);
  }

  function order(a, b, down) {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined); // last
    const numbers = a !== "" && b !== "" && !isNaN(a) && !isNaN(b);
    const found = numbers ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return down ? -found : found;
  }

  // --- the filter, which hides runs in all of the page ----------------------------------------------

  const hidden = new Set();
  const filter = document.getElementById("filter");
  if (filter) filter.addEventListener("input", () => keep(filter.value));

  function keep(wanted) {
    hidden.clear();
    data.search.forEach((text, i) => words(wanted).every(word => fits(text, word)) || hidden.add(i));
    for (const part of all("[data-run]")) part.hidden = hidden.has(Number(part.dataset.run));
    const count = data.search.length - hidden.size;
    document.getElementById("filter-count").textContent = `${count} of ${data.search.length} runs`;
    redraw();
  }

  const words = wanted => wanted.toLowerCase().split(/\s+/).filter(word => word && word !== "-");

  for (const field of all("[data-filters]")) {
    const rows = [...document.getElementById(field.dataset.filters).tBodies[0].rows];
    const texts = rows.map(row => `${row.dataset.search} ${row.textContent}`.toLowerCase());
    const count = field.closest(".controls").querySelector("output");
    const what = count.textContent.split(" ").pop();
    field.addEventListener("input", () => {
      rows.forEach((row, i) => (row.hidden = !words(field.value).every(word => fits(texts[i], word))));
      count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} ${what}`;
    });
  }

  function fits(text, word) {
    if (word.startsWith("-")) return !fits(text, word.slice(1));
    if (!word.includes("=")) return text.includes(word);
    const padded = ` ${text} `; // k=5 is not k=50, and width=32 is generator.width=32
    return padded.includes(` ${word} `) || padded.includes(`.${word} `);
  }

  // --- samples over time ----------------------------------------------------------------------------

  const slider = document.getElementById("slider");
  const rounds = slider ? slider.dataset.rounds.split(" ").map(Number) : [];
  if (slider) {
    const play = document.getElementById("play");
    let timer = 0;
    slider.addEventListener("input", () => show(rounds[slider.value]));
    play.addEventListener("click", () => (timer ? stop() : start()));
    const start = () => {
      if (Number(slider.value) === rounds.length - 1) slider.value = 0;
      show(rounds[slider.value]);
      timer = setInterval(step, 450);
      play.textContent = "Pause";
      play.setAttribute("aria-pressed", "true");
    };
    const step = () => {
      slider.value = Number(slider.value) + 1;
      show(rounds[slider.value]);
      if (Number(slider.value) === rounds.length - 1) stop();
    };
    const stop = () => {
      timer = clearInterval(timer) || 0;
      play.textContent = "Play";
      play.setAttribute("aria-pressed", "false");
    };
  }

  function show(round) {
    const said = round.toLocaleString("en");
    document.getElementById("round").textContent = said;
    slider.setAttribute("aria-valuetext", `round ${said}`);
    for (const figure of all(".frames")) {
      const frames = all(".frame", figure);
      const reached = frames.filter(frame => Number(frame.dataset.round) <= round);
      const shown = reached[reached.length - 1] || frames[0];
      for (const frame of frames) frame.toggleAttribute("data-off", frame !== shown);
    }
  }

  // --- curves ---------------------------------------------------------------------------------------

  const charts = [];
  for (const box of all(".charts")) {
    const set = data.sets[box.dataset.set];
    const choice = { set, key: box.dataset.set, single: false, shown: new Set() };
    for (const button of all(".legend button", box)) {
      const method = Number(button.dataset.method);
      const put = on => (choice.shown[on ? "add" : "delete"](method), button.setAttribute("aria-pressed", on));
      put(button.getAttribute("aria-pressed") === "true");
      button.addEventListener("click", () => (put(!choice.shown.has(method)), redraw()));
    }
    for (const mode of all("button.mode", box)) {
      const note = mode.parentElement.querySelector(".mode-note");
      const bands = note.textContent;
      mode.addEventListener("click", () => {
        choice.single = !choice.single;
        mode.setAttribute("aria-pressed", choice.single);
        note.textContent = choice.single ? "Lines are single runs, in the colour of their config." : bands;
        redraw();
      });
    }
    for (const plot of all(".plot", box))
      charts.push({ plot, choice, panel: set.panels[plot.dataset.panel], near: false, u: null });
  }

  function lines({ panel, choice }) {
    const { set, shown, single } = choice;
    if (single || !panel.bands.length)
      return panel.runs
        .map(run => ({ ...run, name: set.runs[run.run].name, method: set.runs[run.run].method }))
        .filter(run => shown.has(run.method) && !hidden.has(run.run));
    const visible = method => !set.runs.length || set.runs.some((run, i) => run.method === method && !hidden.has(i));
    return panel.bands
      .filter(band => shown.has(band.method) && visible(band.method))
      .map(band => ({ ...band, name: set.methods[band.method] }));
  }

  function draw(chart) {
    const { plot, panel } = chart;
    if (chart.u) chart.u.destroy();
    chart.u = null;
    const found = lines(chart);
    if (!found.length) return;
    const log = panel.log;
    const safe = values => (log ? values.map(y => (y > 0 ? y : null)) : values);
    const tables = [], series = [{}], bands = [];
    for (const line of found) {
      const color = css(`--c${line.method % 7}`);
      const dash = [[], [7, 4], [2, 3]][Math.floor(line.method / 7) % 3];
      const points = { show: line.x.length < 15, size: 5, fill: color };
      tables.push([line.x, safe(line.y)]);
      series.push({ stroke: color, width: line.low || found.length < 4 ? 1.8 : 1.1, dash, points, line });
      for (const edge of line.low ? [line.high, line.low] : []) {
        tables.push([line.x, safe(edge)]);
        series.push({ stroke: "transparent", width: 0, points: { show: false } });
      }
      if (line.low) bands.push({ series: [series.length - 2, series.length - 1], fill: color + "2b" });
    }
    chart.u = new uPlot(options(chart, series, bands), uPlot.join(tables), plot);
  }

  const size = plot => ({ width: printing.matches ? 330 : plot.clientWidth, height: 210 });
  const short = x => (x === 0 ? "0" : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(1) : String(+x.toPrecision(4)));
  const powers = (_, ticks) => ticks.map(y => (Math.abs(Math.log10(y) % 1) < 1e-9 ? y : null));
  const thousands = x => (x >= 1000 ? `${+(x / 1000).toPrecision(3)}k` : String(x));

  function options(chart, series, bands) {
    const axis = { stroke: css("--soft"), font: "11px system-ui, sans-serif", grid: { stroke: css("--rule"), width: 1 }, ticks: { show: false } };
    return {
      ...size(chart.plot),
      series,
      bands,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      scales: { x: { time: false }, y: chart.panel.log ? { distr: 3 } : {} },
      axes: [
        { ...axis, size: 28, values: (_, ticks) => ticks.map(thousands) },
        { ...axis, size: 52, grid: { ...axis.grid, filter: chart.panel.log ? powers : (_, ticks) => ticks }, values: (_, ticks) => ticks.map(y => (y === null ? "" : short(y))) },
      ],
      cursor: { y: false, sync: { key: chart.choice.key, setSeries: false }, dataIdx: nearest, points: { size: 7 } },
      hooks: { draw: [u => compare(u, chart.panel.line)], setCursor: [u => tell(u, chart)] },
    };
  }

  // Curves have rounds of their own: the nearest that this one has.
  function nearest(u, i, at, x) {
    const values = u.data[i], xs = u.data[0];
    if (i === 0 || values[at] != null) return at;
    let left = at, right = at;
    while (left >= 0 && values[left] == null) left--;
    while (right < xs.length && values[right] == null) right++;
    if (left < 0 || right >= xs.length) return left < 0 ? (right < xs.length ? right : null) : left;
    return x - xs[left] <= xs[right] - x ? left : right;
  }

  function compare(u, line) {
    if (line === null || line === undefined || line < u.scales.y.min || line > u.scales.y.max) return;
    const y = u.valToPos(line, "y", true);
    u.ctx.save();
    u.ctx.strokeStyle = css("--soft");
    u.ctx.lineWidth = devicePixelRatio;
    u.ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
    u.ctx.restore();
  }

  const make = (name, text, style = "") => Object.assign(document.createElement(name), { textContent: text, className: style });

  function tell(u, chart) {
    const { left, top, idx, idxs } = u.cursor;
    const here = u.over.matches(":hover") || document.activeElement === chart.plot;
    if (chart.tip) chart.tip.hidden = true;
    if (!here || idx === null || idx === undefined || left < 0) return;
    const values = u.series
      .map((one, i) => ({ line: one.line, y: one.line && idxs[i] !== null ? u.data[i][idxs[i]] : null }))
      .filter(one => one.y !== null && one.y !== undefined)
      .sort((a, b) => Math.abs(u.valToPos(a.y, "y") - top) - Math.abs(u.valToPos(b.y, "y") - top))
      .slice(0, 8)
      .sort((a, b) => b.y - a.y);
    const rows = values.map(({ line, y }) => {
      const row = make("div", "");
      row.append(make("i", "", `c${line.method % 7}`), make("span", line.name), make("span", short(y)));
      return row;
    });
    if (!chart.tip) {
      chart.tip = make("div", "", "tip");
      chart.tip.setAttribute("role", "status");
      chart.plot.after(chart.tip);
    }
    chart.tip.replaceChildren(make("b", `round ${u.data[0][idx].toLocaleString("en")}`), ...rows);
    chart.tip.hidden = false;
    const x = left + u.over.offsetLeft, width = chart.tip.offsetWidth;
    chart.tip.style.left = `${clamp(x + 14 + width < chart.plot.clientWidth ? x + 14 : x - 14 - width, 0, Math.max(0, chart.plot.clientWidth - width))}px`;
    chart.tip.style.top = `${chart.plot.offsetTop + 6}px`;
  }

  function move(event, chart) {
    const u = chart.u;
    const last = u ? u.data[0].length - 1 : -1;
    const now = u && u.cursor.idx !== null && u.cursor.left >= 0 ? u.cursor.idx : -1;
    const to = { ArrowRight: now + 1, ArrowLeft: now < 0 ? last : now - 1, Home: 0, End: last }[event.key];
    if (!u || (to === undefined && event.key !== "Escape")) return;
    event.preventDefault();
    if (to === undefined) return u.setCursor({ left: -10, top: -10 });
    u.setCursor({ left: u.valToPos(u.data[0][clamp(to, 0, last)], "x"), top: u.over.clientHeight / 2 });
  }

  const redraw = () => charts.forEach(chart => chart.near && draw(chart));
  const near = new IntersectionObserver(
    entries => entries.filter(entry => entry.isIntersecting).forEach(entry => reach(charts.find(chart => chart.plot === entry.target))),
    { rootMargin: "400px" },
  );
  const reach = chart => {
    if (!chart.near) draw(chart);
    chart.near = true;
  };
  const resized = new ResizeObserver(entries => entries.forEach(({ target }) => {
    const chart = charts.find(one => one.plot === target);
    if (chart.u && !printing.matches && target.clientWidth !== chart.u.width) chart.u.setSize(size(target));
  }));
  for (const chart of charts) {
    near.observe(chart.plot);
    resized.observe(chart.plot);
    chart.plot.addEventListener("keydown", event => move(event, chart));
    chart.plot.addEventListener("blur", () => chart.u && chart.u.setCursor({ left: -10, top: -10 }));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // --- paper shows everything -----------------------------------------------------------------------

  let closed = [];
  const unfold = () => {
    closed = closed.length ? closed : all("details:not([open])");
    closed.forEach(part => (part.open = true));
    charts.forEach(chart => (chart.near = true));
    redraw();
  };
  const fold = () => {
    closed.forEach(part => (part.open = false));
    closed = [];
    redraw();
  };
  printing.addEventListener("change", () => (printing.matches ? unfold() : fold()));
  addEventListener("beforeprint", unfold);
  addEventListener("afterprint", fold);

  // --- copying --------------------------------------------------------------------------------------

  for (const button of all("button.copy"))
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code); // where the browser says no: Ctrl-C does it
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
})();
