"use strict";
// Voxels out of the page's own text: base64, gzip, NIfTI-1 with one byte (or three) a voxel.
const spec = JSON.parse(document.getElementById("spec").textContent);
const palettes = JSON.parse(document.getElementById("palettes").textContent);
const PLANES = { sagittal: [1, 2, 0], coronal: [0, 2, 1], axial: [0, 1, 2] }; // across, up, through
const known = new Map();

function text(name) {
  return document.getElementById("blob-" + name).textContent;
}

function unpacked(name) {
  const characters = atob(text(name));
  const packed = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i += 1) packed[i] = characters.charCodeAt(i);
  return fflate.gunzipSync(packed);
}

function volume(name) {
  if (!known.has(name)) {
    const bytes = unpacked(name);
    const head = new DataView(bytes.buffer, bytes.byteOffset, 348);
    const little = head.getInt32(0, true) === 348;
    const sizes = [1, 2, 3].map((i) => head.getInt16(40 + 2 * i, little));
    known.set(name, {
      shape: sizes,
      edges: [1, 2, 3].map((i) => head.getFloat32(76 + 4 * i, little)),
      colours: head.getInt16(70, little) === 128 ? 3 : 1,
      slope: head.getFloat32(112, little),
      inter: head.getFloat32(116, little),
      voxels: bytes.subarray(head.getFloat32(108, little)),
    });
  }
  return known.get(name);
}

// One slice, top row first: the subject's left on the left, anterior or superior up.
function section(image, plane, index) {
  const [across, up, through] = PLANES[plane];
  const stride = [1, image.shape[0], image.shape[0] * image.shape[1]];
  const width = image.shape[across], height = image.shape[up], depth = image.colours;
  const levels = new Uint8Array(width * height * depth);
  let at = 0;
  for (let row = height - 1; row >= 0; row -= 1) {
    for (let column = 0; column < width; column += 1) {
      const from = (row * stride[up] + column * stride[across] + index * stride[through]) * depth;
      for (let c = 0; c < depth; c += 1) levels[at++] = image.voxels[from + c];
    }
  }
  return {
    levels, width, height, colours: depth, slope: image.slope, inter: image.inter,
    aspect: (width * image.edges[across]) / (height * image.edges[up]),
  };
}

function palette(name) {
  const digits = palettes[name];
  return Uint8Array.from({ length: 768 }, (_, i) => parseInt(digits.substr(2 * i, 2), 16));
}

const colours = { grey: palette("grey"), viridis: palette("viridis") };

function paint(canvas, picture, window, name) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.style.aspectRatio = String(picture.aspect);
  const pen = canvas.getContext("2d");
  const out = pen.createImageData(picture.width, picture.height);
  const lookup = new Uint8Array(256);
  if (window) {
    for (let level = 0; level < 256; level += 1) {
      const value = picture.inter + picture.slope * level;
      const share = (value - window[0]) / (window[1] - window[0]);
      lookup[level] = Math.round(255 * Math.min(1, Math.max(0, share)));
    }
  }
  const map = colours[name];
  for (let i = 0; i < picture.width * picture.height; i += 1) {
    for (let c = 0; c < 3; c += 1) {
      out.data[4 * i + c] = picture.colours === 3
        ? picture.levels[3 * i + c]
        : map[3 * lookup[picture.levels[i]] + c];
    }
    out.data[4 * i + 3] = 255;
  }
  pen.putImageData(out, 0, 0);
}
