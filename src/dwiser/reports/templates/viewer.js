// The viewer: NiiVue, unpacked when it is asked for; without WebGL the pictures must do.
function viewer() {
  const start = document.getElementById("viewer-start");
  const note = document.getElementById("viewer-note");
  const body = document.getElementById("viewer-body");
  const choice = document.getElementById("viewer-image");
  const layout = document.getElementById("viewer-layout");
  const toggle = document.getElementById("viewer-toggle");
  const shown = document.getElementById("viewer-shown");
  const place = document.getElementById("viewer-place");
  let view = null;
  let turn = Promise.resolve();

  function without(reason) {
    start.hidden = true;
    body.hidden = true;
    note.textContent = reason + " The pictures above show the same images.";
    note.className = "note";
  }

  const list = [];
  for (const contrast of spec.contrasts) {
    const { label, window } = contrast;
    const { noisy, denoised, residual } = contrast;
    list.push({ label, window, noisy, denoised, map: "gray", unit: ", scanner units" });
    if (residual) {
      const unit = ", in sd of the noise";
      list.push({ label: "residual: " + label, window: RESIDUAL, noisy: residual, map: "gray", unit });
    }
  }
  if (spec.fa) list.push({ label: "colour FA", window: null, map: "gray", unit: "", ...spec.fa });
  for (const { label, image, window } of spec.maps) {
    list.push({ label, window, noisy: image, map: "viridis", unit: "" });
  }
  list.forEach((entry, i) => choice.add(new Option(entry.label, String(i))));

  async function show() {
    const entry = list[Number(choice.value)];
    toggle.disabled = !entry.denoised;
    const denoised = Boolean(entry.denoised) && toggle.getAttribute("aria-pressed") === "true";
    const name = denoised ? entry.denoised : entry.noisy;
    const image = await niivue.NVImage.loadFromBase64({
      base64: text(name), name: name + ".nii.gz", colormap: entry.map,
      ...(entry.window ? { cal_min: entry.window[0], cal_max: entry.window[1] } : {}),
    });
    image.colorbarVisible = Boolean(entry.window);
    view.addVolume(image);
    while (view.volumes.length > 1) view.removeVolume(view.volumes[0]);
    const state = entry.denoised ? (denoised ? " (denoised)" : " (noisy)") : "";
    shown.textContent = "Shown: " + entry.label + state + entry.unit + ".";
    body.dataset.shown = name;
  }

  // One change after another, however fast the buttons are pressed.
  function queue() {
    turn = turn.then(show).catch((error) => without("The viewer failed: " + error.message + "."));
  }

  async function open() {
    start.disabled = true;
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(unpacked("niivue"));
    document.head.append(script);
    body.hidden = false;
    view = new niivue.Niivue({
      backColor: [0, 0, 0, 1], isRadiologicalConvention: false, dragAndDropEnabled: false,
      loadingText: "", logLevel: "silent", show3Dcrosshair: true, isColorbar: true,
      crosshairColor: [1, 0.88, 0.3, 0.8], crosshairWidth: 0.4, crosshairWidthUnit: "mm",
      isNearestInterpolation: true,
    });
    view.onLocationChange = (location) => {
      const at = Array.from(location.mm).slice(0, 3).map((x) => x.toFixed(1).replace("-", "−"));
      const values = location.values.map((found) => short(Number(found.value)));
      place.textContent = "Crosshair at (" + at.join(", ") + ") mm" +
        (view.volumes[0].colorbarVisible ? ": " + values[0] : "") + ".";
    };
    await view.attachToCanvas(document.getElementById("viewer-canvas"));
    view.setSliceType(Number(layout.value));
    start.hidden = true;
    queue();
  }

  if (!document.createElement("canvas").getContext("webgl2")) {
    without("This browser has no WebGL, which the viewer needs.");
    return;
  }
  start.addEventListener("click", () => {
    open().catch((error) => without("The viewer could not start: " + error.message + "."));
  });
  choice.addEventListener("change", queue);
  layout.addEventListener("change", () => view.setSliceType(Number(layout.value)));
  toggle.addEventListener("click", () => {
    toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") !== "true"));
    queue();
  });
}

viewer();
