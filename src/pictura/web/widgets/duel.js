// Two pictures of one prompt, of which one is chosen, by key, mouse or finger. The time that it took counts
// from when both can be seen; before that nothing can be chosen.
export default {
  template: `
    <div class="duel">
      <p class="duel-prompt" role="status">{{ pair.prompt }}</p>
      <div class="duel-pair" :class="{ busy: !ready }">
        <button v-for="side in ['left', 'right']" :key="pair.token + side" type="button" class="duel-side" :class="{ chosen: chosen === side }"
          :disabled="!ready" :aria-label="'The ' + side + ' one is better, key ' + keys[side]" @click="choose(side, $event)">
          <img :src="'/media/' + pair[side] + '/file'" :alt="'The ' + side + ' picture'" :width="pair.width" :height="pair.height" @load="seen(side)" @error="seen(side)">
          <span class="duel-key" aria-hidden="true"><kbd>{{ keys[side] }}</kbd> This one</span>
        </button>
      </div>
      <div class="duel-others">
        <button type="button" class="button" :class="{ chosen: chosen === 'tie' }" :disabled="!ready" @click="choose('tie', $event)"><kbd aria-hidden="true">0</kbd> As good</button>
        <button type="button" class="button" :class="{ chosen: chosen === 'skip' }" :disabled="!ready" @click="choose('skip', $event)"><kbd aria-hidden="true">Space</kbd> Skip</button>
      </div>
    </div>`,
  props: { pair: Object },
  data() {
    return { loaded: {}, since: 0, chosen: null, keys: { left: "1", right: "2" } };
  },
  computed: {
    ready() {
      return Boolean(this.loaded.left && this.loaded.right && !this.chosen);
    },
  },
  watch: {
    "pair.token"() {
      this.loaded = {};
      this.chosen = null;
    },
  },
  mounted() {
    this.listen = (event) => this.key(event);
    document.addEventListener("keydown", this.listen);
  },
  beforeUnmount() {
    document.removeEventListener("keydown", this.listen);
  },
  methods: {
    seen(side) {
      this.loaded = { ...this.loaded, [side]: true };
      if (this.loaded.left && this.loaded.right) this.since = performance.now();
    },
    choose(choice, event) {
      if (!this.ready) return;
      // After a click the next press of the space bar shall skip, not choose the same side again.
      if (event && event.detail && document.activeElement) document.activeElement.blur();
      this.chosen = choice;
      this.$emit("choose", { token: this.pair.token, choice, ms: Math.round(performance.now() - this.since) });
    },
    // Called by the page where a choice was not taken: it can be made again.
    again() {
      this.chosen = null;
    },
    key(event) {
      const at = document.activeElement;
      if (event.repeat || event.altKey || event.ctrlKey || event.metaKey) return;
      if (at && ["INPUT", "SELECT", "TEXTAREA"].includes(at.tagName)) return;
      if (event.key === " " && at && ["BUTTON", "A", "SUMMARY"].includes(at.tagName)) return;
      const choices = { 1: "left", 2: "right", ArrowLeft: "left", ArrowRight: "right", 0: "tie", t: "tie", T: "tie", " ": "skip", s: "skip" };
      if (!choices[event.key]) return;
      event.preventDefault();
      this.choose(choices[event.key]);
    },
  },
};
