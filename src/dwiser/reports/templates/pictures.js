// The sliders: a plane and a slice of several images at once, and a volume of the series.
const RESIDUAL = [-spec.sigmas, spec.sigmas];

function short(value) {
  return Number(value.toPrecision(3)).toString();
}

function limits(bar, window, unit) {
  bar.querySelector(".from").textContent = short(window[0]).replace("-", "−") + unit;
  bar.querySelector(".to").textContent = short(window[1]) + unit;
}

function mark(panel, ends) {
  panel.querySelector(".low").textContent = ends[0];
  panel.querySelector(".high").textContent = ends[1];
  panel.querySelector(".top").textContent = ends[2];
}

function tell(slider, output, words) {
  output.textContent = words;
  slider.setAttribute("aria-valuetext", words);
}

// `images()` gives, for each panel's kind: an image's name, window, palette, and what to call it.
function browse(root, images) {
  const plane = root.querySelector(".plane");
  const slider = root.querySelector(".slice");
  const output = root.querySelector(".where");

  function draw() {
    const planned = spec.planes[plane.value];
    const index = Number(slider.value);
    const [across, up] = PLANES[plane.value];
    const where = "slice " + (index + 1) + " of " + planned.stored.length + ", " +
      planned.axis + " = " + planned.stored[index];
    tell(slider, output, where);
    const chosen = images();
    for (const panel of root.querySelectorAll(".panel")) {
      const image = chosen[panel.dataset.kind];
      panel.hidden = !image;
      if (!image) continue;
      const canvas = panel.querySelector("canvas");
      paint(canvas, section(volume(image.name), plane.value, index), image.window, image.palette);
      canvas.setAttribute("aria-label", image.title + ", " + plane.value + " " + where);
      mark(panel, [...spec.ends[across], spec.ends[up][1]]);
      panel.querySelector(".title").textContent = image.title;
      const bar = panel.querySelector(".bar");
      if (bar) limits(bar, image.window, image.unit || "");
    }
  }

  function turn() {
    const last = spec.planes[plane.value].stored.length - 1;
    slider.max = String(last);
    slider.value = String(Math.round(last / 2));
    draw();
  }

  plane.addEventListener("change", turn);
  slider.addEventListener("input", draw);
  turn();
  return draw;
}

function pictures() {
  const root = document.getElementById("pictures");
  const flip = root.querySelector(".flip");
  const draw = browse(root, () => {
    const contrast = spec.contrasts[Number(root.querySelector("[name=contrast]:checked").value)];
    const flipped = flip.getAttribute("aria-pressed") === "true";
    const signal = (name, title) => (
      { name, title: title + ": " + contrast.label, window: contrast.window, palette: "grey" });
    const found = {
      noisy: flipped ? signal(contrast.denoised, "Denoised") : signal(contrast.noisy, "Noisy"),
      denoised: signal(contrast.denoised, "Denoised"),
    };
    if (contrast.residual) {
      found.residual = {
        name: contrast.residual, title: "Residual: " + contrast.label, window: RESIDUAL,
        palette: "grey", unit: " sd",
      };
    }
    return found;
  });
  for (const radio of root.querySelectorAll("[name=contrast]")) radio.addEventListener("change", draw);
  flip.addEventListener("click", () => {
    const pressed = flip.getAttribute("aria-pressed") !== "true";
    flip.setAttribute("aria-pressed", String(pressed));
    draw();
  });
}

function strips() {
  const slider = document.getElementById("volume");
  const output = document.getElementById("volume-where");
  const { views, volumes, images } = spec.strips;
  const sizes = views.map((view) => view.width * view.height);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const bytes = {};

  function picture(kind, index, which) {
    bytes[kind] = bytes[kind] || unpacked("strip-" + kind);
    const from = index * all + sizes.slice(0, which).reduce((sum, size) => sum + size, 0);
    const residual = kind === "residual";
    return {
      ...views[which], colours: 1, levels: bytes[kind].subarray(from, from + sizes[which]),
      slope: residual ? spec.strips.residual.slope : volumes[index].slope,
      inter: residual ? spec.strips.residual.inter : 0,
    };
  }

  function draw() {
    const index = Number(slider.value);
    const shown = volumes[index];
    tell(slider, output, shown.label);
    for (const kind of images) {
      const window = kind === "residual" ? RESIDUAL : shown.window;
      const strip = document.querySelector(".strip[data-kind=" + kind + "]");
      views.forEach((view, which) => {
        const panel = strip.querySelector("[data-kind=" + kind + which + "]");
        const canvas = panel.querySelector("canvas");
        paint(canvas, picture(kind, index, which), window, "grey");
        canvas.setAttribute("aria-label", kind + ", " + view.label + ", " + shown.label);
        mark(panel, view.ends);
        panel.querySelector(".title").textContent = view.label;
      });
      limits(strip.querySelector(":scope > .bar"), window, kind === "residual" ? " σ" : "");
    }
  }

  slider.addEventListener("input", draw);
  draw();
  voxels(picture, (index) => {
    slider.value = String(index);
    draw();
  });
}

// One voxel of the strips, chosen by a click or the arrow keys: its signal in all volumes.
function voxels(picture, show) {
  const { views, volumes, images } = spec.strips;
  const plot = document.querySelector("#voxel svg");
  const kinds = images.filter((kind) => kind !== "residual");
  const at = { which: 0, column: Math.floor(views[0].width / 2), row: Math.floor(views[0].height / 2) };

  function element(name, attributes, words) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words) made.appendChild(document.createElementNS(made.namespaceURI, "title")).textContent = words;
    return plot.appendChild(made);
  }

  function place() {
    const axes = PLANES[views[at.which].plane];
    const names = ["sagittal", "coronal", "axial"];
    const inside = [at.column, views[at.which].height - 1 - at.row];
    return axes.slice(0, 2).map((axis, i) => {
      const { axis: letter, stored } = spec.planes[names[axis]];
      const forward = stored.length < 2 || stored[1] > stored[0];
      return letter + " = " + (forward ? stored[0] + inside[i] : stored[0] - inside[i]);
    }).join(", ");
  }

  function draw() {
    const pixel = at.row * views[at.which].width + at.column;
    const series = kinds.map((kind) => volumes.map((_, index) => {
      const { levels, slope, inter } = picture(kind, index, at.which);
      return inter + slope * levels[pixel];
    }));
    const most = Math.max(...series.flat()) || 1;
    const x = (index) => 50 + 660 * (index + 0.5) / volumes.length;
    const y = (value) => 195 - 180 * value / most;
    plot.replaceChildren();
    volumes.forEach(({ b0 }, index) => {
      if (b0) element("rect", { class: "b0", x: x(index - 0.5), y: 10, width: 660 / volumes.length, height: 185 });
    });
    element("path", { class: "axis", d: "M50 10V195H710" });
    for (const share of [0, 0.5, 1]) {
      element("text", { x: 44, y: y(share * most) + 4, "text-anchor": "end" }).textContent = short(share * most);
    }
    for (const index of [0, volumes.length - 1]) {
      element("text", { x: x(index), y: 212, "text-anchor": index ? "end" : "start" }).textContent =
        volumes[index].label.split(",")[0];
    }
    series.forEach((values, s) => values.forEach((value, index) => {
      const words = volumes[index].label + ": " + kinds.map((kind, k) => kind + " " + short(series[k][index])).join(", ");
      element("circle", { class: kinds[s], cx: x(index), cy: y(value), r: 3 }, words)
        .addEventListener("click", () => show(index));
    }));
    document.getElementById("voxel-where").textContent =
      "Voxel " + place() + ", " + views[at.which].label + " (from 0).";
    for (const panel of document.querySelectorAll("#volumes .strip .panel")) {
      const chosen = panel.dataset.kind.endsWith(String(at.which));
      const mark = panel.querySelector(".here") || panel.querySelector(".frame").appendChild(
        Object.assign(document.createElement("span"), { className: "here" }));
      mark.hidden = !chosen;
      mark.style.left = 100 * (at.column + 0.5) / views[at.which].width + "%";
      mark.style.top = 100 * (at.row + 0.5) / views[at.which].height + "%";
    }
  }

  function move(which, column, row) {
    const { width, height } = views[which];
    at.which = which;
    at.column = Math.max(0, Math.min(width - 1, column));
    at.row = Math.max(0, Math.min(height - 1, row));
    draw();
  }

  for (const kind of images) {
    views.forEach((view, which) => {
      const canvas = document.querySelector(
        ".strip[data-kind=" + kind + "] [data-kind=" + kind + which + "] canvas");
      canvas.tabIndex = 0;
      canvas.addEventListener("click", (event) => {
        const box = canvas.getBoundingClientRect();
        move(which, Math.floor(view.width * (event.clientX - box.left) / box.width),
          Math.floor(view.height * (event.clientY - box.top) / box.height));
      });
      canvas.addEventListener("keydown", (event) => {
        const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
        const step = steps[event.key];
        if (!step) return;
        event.preventDefault();
        if (at.which === which) move(which, at.column + step[0], at.row + step[1]);
        else move(which, Math.floor(view.width / 2), Math.floor(view.height / 2));
      });
    });
  }
  draw();
}

function gradients() {
  const stops = Array.from({ length: 9 }, (_, i) => {
    const at = 3 * Math.round((i * 255) / 8);
    return "rgb(" + colours.viridis.slice(at, at + 3).join(",") + ")";
  });
  for (const bar of document.querySelectorAll(".bar .viridis")) {
    bar.style.background = "linear-gradient(to right, " + stops.join(",") + ")";
  }
}

pictures();
strips();
if (spec.fa) {
  browse(document.getElementById("fa"), () => ({
    noisy: { name: spec.fa.noisy, title: "Colour FA of the noisy scan" },
    denoised: { name: spec.fa.denoised, title: "Colour FA of the denoised scan" },
  }));
}
if (spec.maps.length) {
  gradients();
  browse(document.getElementById("noise"), () => Object.fromEntries(spec.maps.map((map) => [
    map.image, { name: map.image, title: map.label, window: map.window, palette: "viridis" }])));
}

document.getElementById("copy").addEventListener("click", async (event) => {
  const command = document.getElementById("command");
  getSelection().selectAllChildren(command);
  try {
    await navigator.clipboard.writeText(command.textContent);
    event.target.textContent = "Copied";
  } catch {
    event.target.textContent = "Selected: press Ctrl+C";
  }
});
