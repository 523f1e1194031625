"use strict";
// Draws samples by onnxruntime-web; RUNTIME, MODEL and ABOUT are of runtime.js and model.js.

const MANY = 16, COLUMNS = 8;
const at = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

let ort, session, seed = 1, drawing = false, again = false, playing = false;

// A stream of its own for every entry, so that truncation changes only entries beyond the bound.
function random(start) {
  let a = start >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function latent(number, bound) {
  return Array.from({ length: ABOUT.dim }, (_, i) => {
    const uniform = random(Math.imul(number, 0x9e3779b1) + i * 0x85ebca6b);
    uniform();
    for (;;) {
      const [u, v] = [uniform(), uniform()];
      const z = ABOUT.latent === "uniform"
        ? 2 * u - 1
        : Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v);
      if (Math.abs(z) <= bound) return ABOUT.scale * z;
    }
  });
}

// Along the great circle, which keeps the length that normal latents have.
function between(a, b, t) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const [p, q] = angle < 1e-3
    ? [1 - t, t]
    : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  return a.map((value, i) => p * value + q * b[i]);
}

function feeds() {
  const value = Number(at("truncation").value), t = Number(at("walk").value);
  const off = ABOUT.styled || value >= Number(at("truncation").max);
  const bound = off ? ABOUT.bound ?? Infinity : value;
  const z = Array.from({ length: MANY }, (_, i) =>
    between(latent(seed + i, bound), latent(seed + MANY + i, bound), t));
  const given = { z: new ort.Tensor("float32", Float32Array.from(z.flat()), [MANY, ABOUT.dim]) };
  if (ABOUT.classes.length) {
    const chosen = at("class").value;
    const y = Int32Array.from({ length: MANY }, (_, i) =>
      chosen === "" ? i % ABOUT.classes.length : Number(chosen));
    given.y = new ort.Tensor("int32", y, [MANY]);
  }
  if (ABOUT.styled) given.psi = new ort.Tensor("float32", new Float32Array(MANY).fill(value), [MANY]);
  return given;
}

function show(x) {
  const [height, width, channels] = ABOUT.shape, canvas = at("images");
  canvas.width = COLUMNS * width;
  canvas.height = (MANY / COLUMNS) * height;
  const picture = canvas.getContext("2d");
  for (let i = 0; i < MANY; i++) {
    const tile = picture.createImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      const from = (i * width * height + p) * channels;
      for (let c = 0; c < 3; c++) tile.data[4 * p + c] = 255 * x[from + (channels < 3 ? 0 : c)];
      tile.data[4 * p + 3] = 255;
    }
    picture.putImageData(tile, (i % COLUMNS) * width, Math.floor(i / COLUMNS) * height);
  }
}

async function draw() {
  again = true;
  if (drawing) return;
  drawing = true;
  while (again) {
    again = false;
    label();
    const start = performance.now();
    show((await session.run(feeds())).x.data);
    at("status").textContent =
      `${MANY} samples in ${Math.round(performance.now() - start)} ms, in this browser`;
  }
  drawing = false;
}

function label() {
  const slider = at("truncation");
  const off = !ABOUT.styled && slider.value === slider.max;
  slider.nextElementSibling.textContent = off ? "off" : Number(slider.value).toFixed(2);
  at("walk").nextElementSibling.textContent = Number(at("walk").value).toFixed(2);
}

function restart() {
  seed += MANY;
  at("walk").value = 0;
}

async function play() {
  playing = !playing;
  at("play").setAttribute("aria-pressed", playing);
  while (playing) {
    const t = Number(at("walk").value) + 0.02;
    if (t > 1) restart();
    else at("walk").value = t;
    await draw();
    await new Promise(requestAnimationFrame);
  }
}

async function start() {
  document.title = at("name").textContent = ABOUT.name;
  const slider = at("truncation");
  Object.assign(slider, ABOUT.styled
    ? { min: 0, max: 1.5, step: 0.05, value: 1 }
    : { min: 0.1, max: 4, step: 0.1, value: 4 });
  slider.parentElement.hidden = !ABOUT.styled && ABOUT.latent !== "normal";
  at("classes").hidden = !ABOUT.classes.length;
  at("class").append(...ABOUT.classes.map((name, i) => new Option(name, i)));
  ort = await import(URL.createObjectURL(new Blob([RUNTIME.module], { type: "text/javascript" })));
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page
  ort.env.wasm.wasmBinary = bytes(RUNTIME.wasm);
  session = await ort.InferenceSession.create(bytes(MODEL), { executionProviders: ["wasm"] });
  for (const id of ["truncation", "walk", "class"]) at(id).addEventListener("input", draw);
  at("new").addEventListener("click", () => { restart(); draw(); });
  at("play").addEventListener("click", play);
  await draw();
}

start().catch((error) => { at("status").textContent = `It cannot be drawn here: ${error.message}`; });
