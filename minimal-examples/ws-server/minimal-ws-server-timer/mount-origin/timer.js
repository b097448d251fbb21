const [state, count, say, send] = ["state", "count", "say", "send"].map((id) => document.getElementById(id));
const socket = new WebSocket(location.origin.replace(/^http/, "ws"), "timer");

function show(text, isOpen) {
  state.textContent = text;
  state.className = isOpen ? "open" : "";
  send.disabled = !isOpen;
}

socket.onopen = () => show("connected", true);
socket.onmessage = (message) => count.textContent = message.data;
socket.onclose = (event) => show(`closed (${event.code})`, false);
say.onsubmit = (event) => {
  event.preventDefault();
  socket.send("here");
};
