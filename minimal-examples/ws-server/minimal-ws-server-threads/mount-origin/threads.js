const [state, heard] = ["state", "heard"].map((id) => document.getElementById(id));
const SHOWN = 200;

function connect() {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws"), "lws-minimal");
  socket.onopen = () => {
    state.textContent = "connected";
    state.className = "open";
  };
  socket.onmessage = (message) => {
    const item = document.createElement("li");
    item.textContent = message.data;
    heard.append(item);
    if (heard.childElementCount > SHOWN) heard.firstElementChild.remove();
    heard.scrollTop = heard.scrollHeight;
  };
  socket.onclose = (event) => {
    state.textContent = `closed (${event.code}), connecting again`;
    state.className = "";
    setTimeout(connect, 1000 + 1000 * Math.random());
  };
}

connect();
