"use strict";
// The content of the page, unpacked; the scripts after this one wait for it, inside one function.
if (!window.DecompressionStream) document.body.prepend("This page needs a browser of 2023 or later.");
const packed = Uint8Array.from(atob(document.getElementById("content").textContent), (one) => one.charCodeAt(0));
const unpacking = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
window.sc2 = { content: await new Response(unpacking).json() };
