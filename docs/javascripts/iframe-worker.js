// Search where the site was opened from a folder: browsers allow no Worker there, so its script runs in a hidden frame.
// The theme's search knows such a frame by the name IFrameWorker. On a server nothing of this is used.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.ready = new Promise((resolve) => {
        window.addEventListener("message", (event) => {
          if (event.source !== frame.contentWindow) return;
          if (event.data.started) resolve(frame.contentWindow);
          else this.dispatchEvent(new MessageEvent("message", { data: event.data.answer }));
        });
      });
      frame.srcdoc = `<!doctype html><script>
          const answerTo = parent.postMessage.bind(parent);
          self.postMessage = (answer) => answerTo({ answer }, "*");
          self.importScripts = (...addresses) => addresses.reduce((before, address) => before.then(() =>
            new Promise((resolve, reject) => {
              const script = Object.assign(document.createElement("script"), { src: address });
              script.onload = resolve;
              script.onerror = reject;
              document.body.append(script);
            })), Promise.resolve());
        </script><body><script src="${address}"></script>
        <script>answerTo({ started: true }, "*")</script>`;
      document.documentElement.append(frame);
    }

    postMessage(message) {
      this.ready.then((frame) => frame.dispatchEvent(new MessageEvent("message", { data: message })));
    }
  };
  window.Worker = window.IFrameWorker;
}
