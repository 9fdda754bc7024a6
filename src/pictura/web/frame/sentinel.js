// Tells when the end of a list comes near, so that more of it can be brought.
const MARGIN = "900px";

export default {
  props: { round: Number },
  emits: ["near"],
  template: `<div class="sentinel" aria-hidden="true"></div>`,
  methods: {
    watch() {
      if (this.observer) this.observer.disconnect();
      this.observer = new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) this.$emit("near");
      }, { rootMargin: MARGIN });
      this.observer.observe(this.$el);
    },
  },
  watch: {
    // a list that grew may still end within sight: look anew
    round() {
      this.watch();
    },
  },
  mounted() {
    this.watch();
  },
  unmounted() {
    this.observer.disconnect();
  },
};
