const [state, heard, say, line, send] = ["state", "heard", "say", "line", "send"].map((id) => document.getElementById(id));
let socket;

function show(text, isOpen) {
  state.textContent = text;
  state.className = isOpen ? "open" : "";
  line.disabled = send.disabled = !isOpen;
}

function connect() {
  socket = new WebSocket(location.origin.replace(/^http/, "ws"), "lws-minimal");
  socket.onopen = () => {
    show("connected", true);
    line.focus();
  };
  socket.onmessage = (message) => {
    const item = document.createElement("li");
    item.textContent = message.data;
    heard.append(item);
    heard.scrollTop = heard.scrollHeight;
  };
  socket.onclose = (event) => {
    show(`closed (${event.code}), connecting again`, false);
    setTimeout(connect, 1000 + 1000 * Math.random());
  };
}

say.onsubmit = (event) => {
  event.preventDefault();
  if (line.value) socket.send(line.value);
  line.value = "";
};

connect();
