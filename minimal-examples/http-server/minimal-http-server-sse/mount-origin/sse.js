const source = new EventSource("/sse");
source.onmessage = (event) => document.getElementById("last").textContent = event.data;
