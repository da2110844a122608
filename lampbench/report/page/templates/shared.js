"use strict";

// All texts from runs come in as packed JSON and go out through textContent: they never become
// markup.

function make(name, options = {}, ...children) {
  const { classes, ...attributes } = options;
  const node = document.createElement(name);
  if (classes) node.className = classes;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function signed(value, digits) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}

// The data of a script element: gzip in base64, read when it is first asked for.
const unpacked = new Map();

async function read(script) {
  if (!unpacked.has(script)) {
    const bytes = Uint8Array.from(atob(script.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    unpacked.set(script, new Response(stream).json());
  }
  return unpacked.get(script);
}
