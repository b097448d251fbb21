"use strict";

// What is drawn goes as text, in the words of lws's test page, on a sheet of 512 by 256:
//   d #COLOUR X1 Y1 X2 Y2;   a line
//   c #COLOUR X Y R;         a circle

const canvas = document.getElementById("sheet");
const state = document.getElementById("state");
const sheet = canvas.getContext("2d");
const scale = canvas.width / 512;
const hue = Math.floor(Math.random() * 12) * 30;
const colour = `#${[0, 8, 4].map(channel).join("")}`;

/** Of a colour that can be seen on light and on dark. */
function channel(n) {
  const k = (n + hue / 30) % 12;
  const value = 0.55 - 0.35 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  return Math.round(255 * value).toString(16).padStart(2, "0");
}

function draw(words) {
  const [kind, stroke, ...numbers] = words.trim().split(/ +/);
  const [x, y, a, b] = numbers.map((n) => Number(n) * scale);
  sheet.strokeStyle = stroke;
  sheet.lineWidth = 2 * scale;
  sheet.lineCap = "round";
  sheet.beginPath();
  if (kind === "d") {
    sheet.moveTo(x, y);
    sheet.lineTo(a, b);
  } else if (kind === "c" && a > 0) {
    sheet.arc(x, y, a, 0, 2 * Math.PI);
  }
  sheet.stroke();
}

// -- the pen

let socket = null;
let pen = null;

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * 512 / box.width, (event.clientY - box.top) * 256 / box.height].map(Math.round);
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pen = place(event);
});

canvas.addEventListener("pointermove", (event) => {
  if (pen === null || socket.readyState !== WebSocket.OPEN) return;
  const here = place(event);
  // It is drawn when it comes back, as everybody else's is.
  socket.send(`d ${colour} ${pen.join(" ")} ${here.join(" ")};`);
  pen = here;
});

for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => pen = null);
}

// -- the mirror

let wait = 1000;

function connect() {
  const place = new URL(location.search, new URL(".", location.href));
  place.protocol = place.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(place, "lws-mirror-protocol");
  socket.onopen = () => {
    wait = 1000;
    document.body.classList.add("live");
    state.textContent = "connected";
  };
  socket.onmessage = (message) => {
    if (typeof message.data === "string") message.data.split(";").filter((words) => words.trim()).forEach(draw);
  };
  socket.onclose = () => {
    document.body.classList.remove("live");
    state.textContent = "reconnecting";
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, 15000);
  };
}

connect();
