const [state, heard, say, line, send] = ["state", "heard", "say", "line", "send"].map((id) => document.getElementById(id));
const socket = new WebSocket(location.origin.replace(/^http/, "ws"), "lws-ws-raw-ws");
const bytes = new TextDecoder();
socket.binaryType = "arraybuffer";

function show(text, isOpen) {
  state.textContent = text;
  state.className = isOpen ? "open" : "";
  line.disabled = send.disabled = !isOpen;
}

socket.onopen = () => {
  show("connected", true);
  line.focus();
};
socket.onmessage = (message) => {
  heard.append(bytes.decode(message.data, { stream: true }));
  heard.scrollTop = heard.scrollHeight;
};
socket.onclose = (event) => show(`closed (${event.code}) ${event.reason}`, false);

say.onsubmit = (event) => {
  event.preventDefault();
  socket.send(`${line.value}\n`);
  line.value = "";
};
