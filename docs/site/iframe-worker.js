// Browsers start no worker for a page that was opened as a file: the search then works in a hidden frame.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      this.window = new Promise((resolve, reject) => {
        frame.addEventListener("load", () => {
          const inner = frame.contentWindow
          inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          const script = frame.contentDocument.createElement("script")
          script.onload = () => resolve(inner)
          script.onerror = reject
          script.src = url
          frame.contentDocument.body.append(script)
        }, { once: true })
      })
      document.body.append(frame)
    }

    async postMessage(data) {
      const inner = await this.window
      inner.dispatchEvent(new inner.MessageEvent("message", { data }))
    }
  }
}
