// A picture seen large. It is a dialog of the browser: the focus stays inside, Esc closes it.
import { Icon, pieces } from "/static/parts.js";

const SEEN_MS = 800;
const GROUPS = [
  {
    name: "Variations",
    acts: [
      { act: "vary", icon: "vary", name: "Vary subtly", key: "V" },
      { act: "vary-strong", icon: "spark", name: "Vary strongly", key: "Shift V" },
      { act: "reroll", icon: "again", name: "Reroll", key: "R" },
      { act: "region", icon: "brush", name: "Vary region" },
    ],
  },
  {
    name: "Larger",
    acts: [
      { act: "upscale", icon: "up", name: "Upscale 2x", key: "U" },
      { act: "upscale-4", icon: "up", name: "Upscale 4x" },
      { act: "zoom", icon: "zoom-out", name: "Zoom out 1.5x" },
      { act: "zoom-2", icon: "zoom-out", name: "Zoom out 2x" },
    ],
  },
];
const PANS = [
  { act: "pan-left", icon: "arrow-left", name: "Pan left" },
  { act: "pan-up", icon: "arrow-up", name: "Pan up" },
  { act: "pan-down", icon: "arrow-down", name: "Pan down" },
  { act: "pan-right", icon: "arrow-right", name: "Pan right" },
  { act: "square", icon: "square", name: "Make square" },
];
const HELP = [
  ["← →", "the picture before, the next one"],
  ["1 – 4", "that picture of this job"],
  ["L", "like, or no longer"],
  ["U", "upscale to twice the size"],
  ["V", "vary subtly; with Shift strongly"],
  ["R", "reroll: the same prompt with new seeds"],
  ["?", "these keys"],
  ["Esc", "close"],
];
const KEYS = { l: "like", u: "upscale", v: "vary", r: "reroll" };

export default {
  components: { Icon },
  props: { items: Array, trouble: String },
  emits: ["act", "closed"],
  template: `
    <dialog class="lightbox" aria-label="Picture" @keydown="key" @close="left" @cancel="cancelled">
      <template v-if="item">
        <div class="light-stage" @click.self="close">
          <button type="button" class="light-step" aria-label="Picture before" :disabled="at === 0" @click="go(at - 1)"><Icon name="left" /></button>
          <img class="light-picture" :key="item.id" :src="item.file" :alt="'Picture ' + (item.index + 1) + ': ' + item.prompt"
            :width="item.w" :height="item.h" :style="{ '--w': item.w, '--h': item.h }">
          <button type="button" class="light-step" aria-label="Next picture" :disabled="at === items.length - 1" @click="go(at + 1)"><Icon name="right" /></button>
        </div>
        <div class="light-side">
          <div class="light-top">
            <button type="button" class="button quiet bare" aria-label="Keys" title="Keys (?)" :aria-pressed="help ? 'true' : 'false'" @click="help = !help"><Icon name="help" /></button>
            <a class="button quiet bare" :href="item.page" aria-label="Page of this picture" title="Page of this picture"><Icon name="info" /></a>
            <a class="button quiet bare" :href="item.file + '?download'" aria-label="Download" title="Download"><Icon name="download" /></a>
            <button type="button" class="button quiet bare light-close" aria-label="Close" title="Close (Esc)" @click="close"><Icon name="close" /></button>
          </div>
          <dl v-if="help" class="light-help">
            <template v-for="[keys, does] in texts" :key="keys"><dt><kbd>{{ keys }}</kbd></dt><dd>{{ does }}</dd></template>
          </dl>
          <p class="light-prompt">{{ text.words }}<span v-for="(one, i) in text.parameters" :key="i" class="prompt-parameter mono">{{ one.text }}</span></p>
          <p class="soft small numbers">{{ facts }}</p>
          <p v-for="notice in item.notices" :key="notice" class="soft small">{{ notice }}</p>
          <div v-if="siblings.length > 1" class="light-strip" role="group" aria-label="Pictures of this job">
            <button v-for="(one, i) in siblings" :key="one.id" type="button" class="light-thumb" :aria-current="one.id === item.id ? 'true' : null"
              :aria-label="'Picture ' + (one.index + 1)" @click="pick(i)"><img :src="one.thumb" alt=""></button>
          </div>
          <p v-if="trouble" class="trouble" role="alert">{{ trouble }}</p>
          <button type="button" class="button light-like" :aria-pressed="item.liked ? 'true' : 'false'" @click="act('like')">
            <Icon :name="item.liked ? 'heart-full' : 'heart'" /><span>{{ item.liked ? "Liked" : "Like" }}</span><kbd aria-hidden="true">L</kbd>
          </button>
          <div v-for="group in groups" :key="group.name" class="light-group" role="group" :aria-label="group.name">
            <button v-for="one in group.acts" :key="one.act" type="button" class="button" :title="one.key ? one.name + ' (' + one.key + ')' : one.name" @click="act(one.act)">
              <Icon :name="one.icon" /><span>{{ one.name }}</span>
            </button>
          </div>
          <div class="light-pans" role="group" aria-label="Canvas">
            <button v-for="one in pans" :key="one.act" type="button" class="button bare" :aria-label="one.name" :title="one.name" @click="act(one.act)"><Icon :name="one.icon" /></button>
          </div>
          <button type="button" class="button quiet light-use" @click="act('use')"><Icon name="text" /><span>Use this prompt</span></button>
        </div>
      </template>
    </dialog>`,
  data() {
    return { now: null, last: 0, help: false, timer: 0, groups: GROUPS, pans: PANS, texts: HELP };
  },
  computed: {
    at() {
      const found = this.items.findIndex((one) => one.id === this.now);
      return found >= 0 ? found : Math.min(this.last, this.items.length - 1);
    },
    item() {
      return this.now ? this.items[this.at] : null;
    },
    text() {
      return pieces(this.item.prompt);
    },
    siblings() {
      return this.items.filter((one) => one.job === this.item.job);
    },
    facts() {
      const one = this.item;
      return [one.label, one.model, `${one.w} x ${one.h}`, `seed ${one.seed}`].filter(Boolean).join(" · ");
    },
  },
  methods: {
    open(id) {
      this.back = document.activeElement;
      this.now = id;
      if (!this.$el.open) this.$el.showModal();
      this.$nextTick(() => this.$el.querySelector(".light-close").focus());
      this.look();
    },
    close() {
      this.$el.close();
    },
    cancelled() {
      this.help = false;
    },
    left() {
      clearTimeout(this.timer);
      const shot = this.item && document.querySelector(`[data-image="${this.item.id}"]`);
      this.now = null;
      this.$emit("closed");
      const next = shot || this.back;
      if (next && next.isConnected) next.focus();
    },
    // a picture counts as seen when it stood for a moment
    look() {
      this.last = this.at;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.act("view"), SEEN_MS);
      for (const step of [1, -1]) {
        const near = this.items[this.at + step];
        if (near) new Image().src = near.file;
      }
    },
    go(to) {
      if (to < 0 || to >= this.items.length) return;
      this.now = this.items[to].id;
      this.look();
    },
    pick(i) {
      if (this.siblings[i]) this.go(this.items.indexOf(this.siblings[i]));
    },
    act(what) {
      if (this.item) this.$emit("act", { what, image: this.item.id });
    },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const letter = event.key.toLowerCase();
      if (event.key === "ArrowLeft") this.go(this.at - 1);
      else if (event.key === "ArrowRight") this.go(this.at + 1);
      else if (/^[1-9]$/.test(event.key)) this.pick(Number(event.key) - 1);
      else if (event.key === "?") this.help = !this.help;
      else if (letter in KEYS) this.act(letter === "v" && event.shiftKey ? "vary-strong" : KEYS[letter]);
      else return;
      event.preventDefault();
    },
  },
};
