const [state, heard] = ["state", "heard"].map((id) => document.getElementById(id));
const socket = new WebSocket(location.origin.replace(/^http/, "ws"), "lws-minimal-pmd-bulk");

socket.onopen = () => {
  state.textContent = `connected, ${socket.extensions || "no compression"}`;
  state.className = "open";
};
socket.onmessage = (message) => {
  const item = document.createElement("li");
  item.textContent = `a message of ${message.data.size} bytes, which goes back`;
  heard.append(item);
  socket.send(message.data);
};
socket.onclose = (event) => {
  state.textContent = `closed (${event.code}) ${event.reason}`;
  state.className = "";
};
