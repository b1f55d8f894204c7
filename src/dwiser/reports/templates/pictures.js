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
