// One job of the feed: its pictures as they come, what can be done with each, and what it was asked for.
import { Icon, pieces } from "/static/parts.js";

const ROW_PX = 4;
const KEYS = { l: "like", u: "upscale", v: "vary", r: "reroll" };

export default {
  components: { Icon },
  props: { job: Object, previews: Object, progress: Object, trouble: String },
  emits: ["act", "look", "seen"],
  template: `
    <article class="feed-job" :class="job.status" :aria-label="label">
      <div v-if="!job.gone" class="shots" role="group" :aria-label="grid" :style="{ '--columns': columns, '--ratio': ratio }"
        :aria-busy="pending" @keydown="key">
        <div v-for="(cell, i) in cells" :key="i" class="shot-cell" :class="{ done: cell.image, peek: cell.preview && !cell.image }">
          <button v-if="cell.image" type="button" class="shot" :data-image="cell.image.id" :tabindex="i === at ? 0 : -1" :aria-label="said(cell)"
            @focus="at = i" @click="look(i)">
            <img :src="cell.src" alt="" loading="lazy" decoding="async" :width="cell.image.w" :height="cell.image.h">
          </button>
          <img v-else-if="cell.preview" class="shot-preview" :src="cell.preview" alt="">
          <div v-if="cell.image" class="shot-acts">
            <button v-for="one in acts" :key="one.act" type="button" class="shot-act" :tabindex="i === at ? 0 : -1"
              :aria-label="one.name + ', picture ' + (i + 1)" :title="one.name" @focus="at = i" @click="act(one.act, cell.image)">
              <Icon :name="one.icon" />
            </button>
          </div>
          <button v-if="cell.image" type="button" class="shot-act shot-like" :class="{ on: cell.image.liked }" :tabindex="i === at ? 0 : -1"
            :aria-label="'Like picture ' + (i + 1)" :aria-pressed="cell.image.liked ? 'true' : 'false'" title="Like (L)"
            @focus="at = i" @click="act('like', cell.image)">
            <Icon :name="cell.image.liked ? 'heart-full' : 'heart'" />
          </button>
        </div>
        <div v-if="job.status === 'running'" class="shot-progress" role="progressbar" aria-label="Progress" aria-valuemin="0"
          aria-valuemax="100" :aria-valuenow="percent"><span :style="{ width: percent + '%' }"></span></div>
      </div>
      <div class="feed-foot">
        <p class="feed-prompt">{{ text.words }}<span v-for="(one, i) in text.parameters" :key="i" class="prompt-parameter mono">{{ one.text }}</span></p>
        <p class="feed-facts soft small numbers">
          <span v-if="job.label" class="feed-kind">{{ job.label }}</span>
          <span>{{ state }}</span>
        </p>
        <p v-for="warning in job.warnings" :key="warning" class="feed-warning soft small">{{ warning }}</p>
        <p v-if="problem" class="trouble" role="alert">{{ problem }}</p>
        <div class="feed-acts">
          <button v-if="pending" type="button" class="button" :disabled="job.cancelling" @click="act('cancel')">
            <Icon name="close" /><span>{{ job.cancelling ? "Cancelling" : "Cancel" }}</span>
          </button>
          <button v-if="job.status === 'failed' || job.status === 'dead'" type="button" class="button" @click="act('retry')">
            <Icon name="again" /><span>Try again</span>
          </button>
          <button v-if="!pending" type="button" class="button quiet" title="The same prompt with new seeds (R)" @click="act('reroll')">
            <Icon name="again" /><span>Reroll</span>
          </button>
          <button type="button" class="button quiet" title="Write this prompt into the bar" @click="act('use')">
            <Icon name="text" /><span>Use prompt</span>
          </button>
        </div>
      </div>
    </article>`,
  data() {
    return {
      at: 0,
      acts: [
        { act: "upscale", icon: "up", name: "Upscale to twice the size (U)" },
        { act: "vary", icon: "vary", name: "Vary a little (V)" },
        { act: "vary-strong", icon: "spark", name: "Vary a lot" },
        { act: "zoom", icon: "zoom-out", name: "Zoom out" },
        { act: "region", icon: "brush", name: "Vary region" },
      ],
    };
  },
  computed: {
    pending() {
      return this.job.status === "queued" || this.job.status === "running";
    },
    text() {
      return pieces(this.job.resolved);
    },
    label() {
      return `${this.job.label || "Job"}: ${this.text.words || this.job.resolved}`;
    },
    grid() {
      const num = this.cells.length;
      return num === 1 ? "1 picture" : `${num} pictures; arrows go from one to the next`;
    },
    cells() {
      if (!this.pending) return this.job.images.map((image) => this.cell(image));
      const found = new Map(this.job.images.map((image) => [image.index, image]));
      return Array.from({ length: this.job.num }, (_, i) => this.cell(found.get(i), this.previews[i]));
    },
    columns() {
      return this.cells.length === 1 ? 1 : Math.max(2, Math.ceil(Math.sqrt(this.cells.length)));
    },
    ratio() {
      const known = this.job.images[0];
      return known ? known.w / known.h : this.job.ratio;
    },
    percent() {
      return this.progress && this.progress.total ? Math.round((100 * this.progress.done) / this.progress.total) : 0;
    },
    problem() {
      return this.trouble || this.job.error;
    },
    state() {
      const facts = [this.job.model, `seed ${this.job.seed}`];
      if (this.job.status === "running") return `Painting, ${this.percent} %`;
      if (this.job.status === "queued") return this.job.position ? `Waiting, ${this.job.position} before it` : "Waiting";
      if (this.job.status === "cancelled") return `Cancelled · ${facts.join(" · ")}`;
      return facts.join(" · ");
    },
  },
  methods: {
    cell(image, preview) {
      return { image, preview, src: image && (Math.max(image.w, image.h) > 1024 ? image.thumb : image.file) };
    },
    said(cell) {
      const liked = cell.image.liked ? ", liked" : "";
      return `Picture ${cell.image.index + 1} of ${this.job.num}${liked}: look closer`;
    },
    act(what, image) {
      this.$emit("act", { what, job: this.job.id, image: image ? image.id : null, surface: "feed" });
    },
    look(i) {
      this.$emit("look", { image: this.cells[i].image.id });
    },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
      const digit = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
      const what = KEYS[event.key.toLowerCase()];
      const cell = this.cells[this.at];
      if (event.key in steps) this.go(this.at + steps[event.key]);
      else if (digit >= 0) this.go(digit);
      else if (what && cell && cell.image) this.act(what, cell.image);
      else return;
      event.preventDefault();
    },
    go(i) {
      const shots = this.$el.querySelectorAll(".shot");
      if (i < 0 || i >= shots.length) return;
      this.at = i;
      shots[i].focus();
    },
    watchSeen() {
      if (this.seen || this.pending || !this.job.images.length) return;
      this.seen = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        this.seen.disconnect();
        this.$emit("seen", { job: this.job.id });
      }, { threshold: 0.5 });
      this.seen.observe(this.$el);
    },
  },
  mounted() {
    this.watchSeen();
    // cards of different heights lie under each other without holes
    this.size = new ResizeObserver(() => {
      this.$el.style.gridRowEnd = `span ${Math.ceil(this.$el.offsetHeight / ROW_PX)}`;
    });
    this.size.observe(this.$el);
  },
  updated() {
    this.at = Math.min(this.at, Math.max(0, this.cells.length - 1));
    this.watchSeen();
  },
  unmounted() {
    this.size.disconnect();
    if (this.seen) this.seen.disconnect();
  },
};
