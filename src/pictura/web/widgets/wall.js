// A wall of pictures, those of one day under its name; more come when its end is seen.
export default {
  template: `
    <div class="wall" @keydown="key">
      <section v-for="day in days" :key="day.name" :aria-label="day.name">
        <h2 class="wall-day">{{ day.name }}</h2>
        <ul class="wall-tiles">
          <li v-for="one in day.items" :key="one.id" class="wall-tile" :class="{ gone: one.deleted, liked: one.liked }">
            <a :href="'/picture/' + one.id" :aria-label="one.label" :title="one.prompt" class="wall-link">
              <img :src="'/media/' + one.id + '/thumb'" alt="" :width="one.width" :height="one.height" loading="lazy" decoding="async">
            </a>
            <div class="wall-acts" v-if="!one.deleted">
              <button type="button" class="wall-act" :aria-pressed="String(one.liked)" :aria-label="like(one)" :title="like(one)"
                @click="$emit('like', { id: one.id, liked: !one.liked })"><svg class="icon" aria-hidden="true"><use :href="icon(one.liked ? 'heart-full' : 'heart')"></use></svg></button>
              <a class="wall-act" :href="'/media/' + one.id + '/file?download=1'" download aria-label="Download" title="Download"><svg class="icon" aria-hidden="true"><use :href="icon('download')"></use></svg></a>
              <button type="button" class="wall-act" v-if="one.mine" aria-label="Delete" title="Delete"
                @click="$emit('remove', { id: one.id })"><svg class="icon" aria-hidden="true"><use :href="icon('trash')"></use></svg></button>
            </div>
            <div class="wall-gone" v-else>
              <span>Deleted</span>
              <button type="button" class="button small" @click="$emit('restore', { id: one.id })">Restore</button>
            </div>
          </li>
        </ul>
      </section>
      <div ref="end" class="wall-end" v-show="more">
        <button type="button" class="button" @click="ask">Show more</button>
      </div>
    </div>`,
  props: { first: Array, icons: String, open: Boolean },
  data() {
    return { items: this.first, more: this.open, asked: false };
  },
  computed: {
    days() {
      const found = [];
      for (const one of this.items) {
        const name = this.day(one.at);
        if (!found.length || found[found.length - 1].name !== name) found.push({ name, items: [] });
        found[found.length - 1].items.push(one);
      }
      return found;
    },
  },
  mounted() {
    this.seer = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.ask(), { rootMargin: "600px" });
    this.seer.observe(this.$refs.end);
  },
  beforeUnmount() {
    this.seer.disconnect();
  },
  methods: {
    day(at) {
      const date = new Date(1000 * at);
      const start = new Date().setHours(0, 0, 0, 0);
      if (date >= start) return "Today";
      if (date >= start - 864e5) return "Yesterday";
      return date.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
    },
    like(one) {
      return one.liked ? "Take the like back" : "Like";
    },
    icon(name) {
      return this.icons + "#" + name;
    },
    ask() {
      if (!this.more || this.asked) return;
      this.asked = true;
      this.$emit("more");
    },
    // Called by the page: more pictures, and whether there are still others.
    add(items, open) {
      const known = new Set(this.items.map((one) => one.id));
      this.items.push(...items.filter((one) => !known.has(one.id)));
      this.more = open;
      this.asked = false;
      this.$nextTick(() => this.again());
    },
    // A short page may leave the end in sight, which the observer tells of only once.
    again() {
      this.seer.unobserve(this.$refs.end);
      this.seer.observe(this.$refs.end);
    },
    replace(items, open) {
      this.items = [];
      this.add(items, open);
    },
    change(id, values) {
      const one = this.items.find((item) => item.id === id);
      if (one) Object.assign(one, values);
    },
    // Arrow keys go from picture to picture.
    key(event) {
      const links = [...this.$el.querySelectorAll(".wall-link")];
      const at = links.indexOf(document.activeElement);
      if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
      const box = (link) => link.getBoundingClientRect();
      const here = box(links[at]);
      const row = (way) => {
        const others = links.filter((link) => way * (box(link).top - here.top) > 4);
        const top = Math.min(...others.map((link) => way * box(link).top));
        const line = others.filter((link) => Math.abs(way * box(link).top - top) < 4);
        return line.sort((a, b) => Math.abs(box(a).left - here.left) - Math.abs(box(b).left - here.left))[0];
      };
      const goals = {
        ArrowLeft: () => links[at - 1],
        ArrowRight: () => links[at + 1],
        ArrowUp: () => row(-1),
        ArrowDown: () => row(1),
      };
      const goal = goals[event.key] && goals[event.key]();
      if (!goal) return;
      event.preventDefault();
      goal.focus();
    },
  },
};
