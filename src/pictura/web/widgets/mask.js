// A picture to paint a mask on: white on black, as large as the picture, painted and kept in the browser.
// What was done is kept as a list, so that undo is: all of it again, but for the last thing.
export default {
  template: `
    <div class="mask">
      <div class="mask-tools" role="toolbar" :aria-label="label">
        <label class="mask-size">Brush
          <input type="range" min="1" :max="largest" v-model.number="size" aria-label="Brush size in pixels"
                 :aria-valuetext="size + ' pixels'">
          <output>{{ size }}</output>
        </label>
        <button type="button" class="button small" :aria-pressed="String(!erasing)" @click="erasing = false">Paint</button>
        <button type="button" class="button small" :aria-pressed="String(erasing)" @click="erasing = true">Erase</button>
        <button type="button" class="button small" :disabled="!done.length" @click="undo">Undo</button>
        <button type="button" class="button small" :disabled="!done.length" @click="act({kind: 'clear'})">Clear</button>
        <button type="button" class="button small" @click="act({kind: 'invert'})">Invert</button>
      </div>
      <div class="mask-board" :style="{aspectRatio: width + ' / ' + height, maxWidth: 'min(100%, calc(48vh * ' + width / height + '))'}">
        <img :src="src" alt="" draggable="false">
        <canvas ref="canvas" :width="width" :height="height" tabindex="0" role="img"
          aria-label="Mask on the picture. Paint with mouse or finger. By keys: arrows move the brush, space paints, E erases, square brackets change its size, Z undoes, I inverts."
          @pointerdown.prevent="down" @pointermove="move" @pointerup="up" @pointercancel="up" @pointerleave="away"
          @keydown="key" @blur="cursor = null"></canvas>
        <div v-if="cursor" class="mask-brush" :style="brush"></div>
      </div>
      <p class="mask-told" role="status">{{ told }}</p>
    </div>`,
  props: { src: String, width: Number, height: Number, label: String },
  data() {
    const largest = Math.max(2, Math.round(Math.max(this.width, this.height) / 2));
    return { size: Math.max(1, Math.round(largest / 4)), largest, erasing: false, done: [], stroke: null, cursor: null, told: "" };
  },
  mounted() {
    this.tell();
  },
  computed: {
    brush() {
      const percent = (value, of) => (100 * value) / of + "%";
      return {
        left: percent(this.cursor.x, this.width),
        top: percent(this.cursor.y, this.height),
        width: percent(this.size, this.width),
      };
    },
  },
  methods: {
    context() {
      return this.$refs.canvas.getContext("2d", { willReadFrequently: true });
    },
    place(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      return {
        x: ((event.clientX - box.left) / box.width) * this.width,
        y: ((event.clientY - box.top) / box.height) * this.height,
      };
    },
    down(event) {
      if (event.button) return;
      this.$refs.canvas.focus({ preventScroll: true });
      this.$refs.canvas.setPointerCapture(event.pointerId);
      const at = this.place(event);
      this.stroke = { kind: "stroke", size: this.size, erasing: this.erasing, points: [at] };
      this.cursor = at;
      this.draw(this.stroke);
    },
    move(event) {
      this.cursor = this.place(event);
      if (!this.stroke) return;
      const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      const from = this.stroke.points.length - 1;
      for (const one of all.length ? all : [event]) this.stroke.points.push(this.place(one));
      this.draw({ ...this.stroke, points: this.stroke.points.slice(from) });
    },
    up() {
      if (!this.stroke) return;
      this.done.push(this.stroke);
      this.stroke = null;
      this.tell();
    },
    away(event) {
      if (!this.stroke && event.pointerType === "mouse") this.cursor = null;
    },
    key(event) {
      const step = Math.max(1, Math.round(this.size / 4));
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const acts = {
        " ": () => this.act({ kind: "stroke", size: this.size, erasing: this.erasing, points: [{ ...this.cursor }] }),
        e: () => (this.erasing = !this.erasing),
        "[": () => (this.size = Math.max(1, this.size - Math.max(1, Math.round(this.size / 8)))),
        "]": () => (this.size = Math.min(this.largest, this.size + Math.max(1, Math.round(this.size / 8)))),
        z: () => this.undo(),
        i: () => this.act({ kind: "invert" }),
      };
      if (event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z")) return;
      if (!moves[event.key] && !acts[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      this.cursor = this.cursor || { x: this.width / 2, y: this.height / 2 };
      if (acts[event.key]) return acts[event.key]();
      const [dx, dy] = moves[event.key];
      this.cursor = {
        x: Math.min(this.width, Math.max(0, this.cursor.x + dx)),
        y: Math.min(this.height, Math.max(0, this.cursor.y + dy)),
      };
    },
    act(one) {
      this.done.push(one);
      this.draw(one);
      this.tell();
    },
    undo() {
      this.done.pop();
      this.draw({ kind: "clear" });
      this.done.forEach((one) => this.draw(one));
      this.tell();
    },
    draw(one) {
      const context = this.context();
      context.save();
      context.fillStyle = context.strokeStyle = "#fff";
      if (one.kind === "clear") context.clearRect(0, 0, this.width, this.height);
      if (one.kind === "invert") {
        context.globalCompositeOperation = "source-out";
        context.fillRect(0, 0, this.width, this.height);
      }
      if (one.kind === "stroke") {
        context.globalCompositeOperation = one.erasing ? "destination-out" : "source-over";
        context.lineWidth = one.size;
        context.lineCap = context.lineJoin = "round";
        context.beginPath();
        context.arc(one.points[0].x, one.points[0].y, one.size / 2, 0, 2 * Math.PI); // a line of one point draws nothing
        context.fill();
        context.beginPath();
        one.points.forEach((at) => context.lineTo(at.x, at.y));
        context.stroke();
      }
      context.restore();
    },
    // 255 where it is painted, else 0: edges are either in or out.
    values() {
      const pixels = this.context().getImageData(0, 0, this.width, this.height).data;
      const found = new Uint8ClampedArray(this.width * this.height);
      for (let index = 0; index < found.length; index++) found[index] = pixels[4 * index + 3] > 127 ? 255 : 0;
      return found;
    },
    tell() {
      const values = this.values();
      const share = values.reduce((sum, value) => sum + value, 0) / 255 / values.length;
      this.told = share ? Math.max(1, Math.round(100 * share)) + " % of the picture will be painted anew." : "Nothing is painted yet.";
      this.$emit("painted", share);
    },
    // The mask as PNG in base64.
    png() {
      const canvas = document.createElement("canvas");
      canvas.width = this.width;
      canvas.height = this.height;
      const context = canvas.getContext("2d");
      const image = context.createImageData(this.width, this.height);
      this.values().forEach((value, index) => image.data.set([value, value, value, 255], 4 * index));
      context.putImageData(image, 0, 0);
      return canvas.toDataURL("image/png").split(",")[1];
    },
  },
};
