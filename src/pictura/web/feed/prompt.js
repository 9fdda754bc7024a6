// The bar in which a prompt is written: its mistakes are marked while it is typed, its parameters are chips.
import { Icon, parameter, pieces, withParameter } from "/static/parts.js";

const SHAPES = ["1:1", "3:2", "2:3", "16:9", "9:16"];
const AFTER_MS = 200;
const DRAFT = "pictura-prompt";

export default {
  components: { Icon },
  props: { start: String, models: Array, told: Object, busy: Boolean, problem: String },
  emits: ["typed", "paint"],
  template: `
    <form class="prompt card" @submit.prevent="paint">
      <label class="hidden-label" for="prompt">Prompt</label>
      <div class="prompt-text">
        <div class="prompt-mirror" aria-hidden="true">{{ before }}<mark v-if="wrong">{{ wrong }}</mark>{{ after }}&#8203;</div>
        <textarea id="prompt" ref="text" v-model="text" rows="1" spellcheck="false" autocomplete="off" maxlength="8192"
          enterkeyhint="go" placeholder="What shall be painted? For example: a fox on a light blue background"
          aria-describedby="prompt-says" :aria-invalid="mistake ? 'true' : 'false'" @input="typed" @keydown.enter="entered"
        ></textarea>
        <button v-if="text" type="button" class="prompt-clear" aria-label="Clear the prompt" title="Clear" @click="clear"><Icon name="close" /></button>
      </div>
      <ul v-if="chips.length" class="prompt-chips" aria-label="Parameters">
        <li v-for="(chip, i) in chips" :key="i + chip.text" class="prompt-chip">
          <span class="mono">{{ chip.text }}</span>
          <button type="button" class="prompt-chip-off" :aria-label="'Remove ' + chip.text" :title="'Remove ' + chip.text" @click="remove(chip)">
            <Icon name="close" />
          </button>
        </li>
      </ul>
      <p id="prompt-says" class="prompt-says" :class="{ wrong: says.wrong }" role="status">{{ says.text }}</p>
      <div class="prompt-foot">
        <label class="prompt-pick"><span>Shape</span>
          <select class="select" :value="shape" @change="put(['ar', 'aspect'], $event.target.value)">
            <option value="">1:1</option>
            <option v-for="one in shapes" :key="one" :value="one">{{ one }}</option>
          </select>
        </label>
        <label v-if="models.length > 1" class="prompt-pick"><span>Model</span>
          <select class="select" :value="model" @change="put(['model', 'v', 'version'], $event.target.value)">
            <option value="">{{ usual }}</option>
            <option v-for="one in others" :key="one" :value="one">{{ one }}</option>
          </select>
        </label>
        <span class="prompt-count soft numbers">{{ count }}</span>
        <button type="submit" class="button main prompt-go" :aria-disabled="!ready">
          <Icon name="spark" /><span>{{ busy ? "Sending" : "Paint" }}</span>
        </button>
      </div>
    </form>`,
  data() {
    return { text: this.start || sessionStorage.getItem(DRAFT) || "", timer: 0 };
  },
  computed: {
    isAnswered() {
      return this.told && this.told.text === this.text;
    },
    mistake() {
      return this.text.trim() && this.told && this.told.error && this.isAnswered ? this.told.error : null;
    },
    // where the mistake stands: columns count letters, strings count halves of some
    place() {
      if (!this.mistake || !this.mistake.column) return null;
      const letters = Array.from(this.text);
      const at = Math.min(this.mistake.column - 1, Math.max(0, letters.length - 1));
      const found = this.mistake.found;
      const rest = letters.slice(at).join("");
      const long = found && rest.startsWith(found) ? Array.from(found).length : /^\S*/.exec(rest)[0].length || 1;
      return { start: letters.slice(0, at).join("").length, length: letters.slice(at, at + long).join("").length };
    },
    before() {
      return this.place ? this.text.slice(0, this.place.start) : this.text;
    },
    wrong() {
      return this.place ? this.text.slice(this.place.start, this.place.start + this.place.length) : "";
    },
    after() {
      return this.place ? this.text.slice(this.place.start + this.place.length) : "";
    },
    chips() {
      return pieces(this.text).parameters;
    },
    shape() {
      return parameter(this.text, ["ar", "aspect"]);
    },
    shapes() {
      const known = SHAPES.slice(1);
      return this.shape && !known.includes(this.shape) ? [...known, this.shape] : known;
    },
    model() {
      return parameter(this.text, ["model", "v", "version"]);
    },
    usual() {
      const found = this.models.find((one) => one.is_default);
      return found ? found.name : "default";
    },
    others() {
      const known = this.models.map((one) => one.name).filter((name) => name !== this.usual);
      return this.model && !known.includes(this.model) ? [...known, this.model] : known;
    },
    says() {
      if (this.mistake) return { wrong: true, text: this.mistake.message };
      return { wrong: Boolean(this.problem), text: this.problem || "" };
    },
    count() {
      if (!this.text.trim() || !this.isAnswered || !this.told.ok) return "";
      const jobs = this.told.num_jobs;
      return jobs > 1 ? `${jobs} jobs, ${4 * jobs} pictures` : "4 pictures";
    },
    ready() {
      return Boolean(this.text.trim()) && !this.busy && !this.mistake;
    },
  },
  watch: {
    // what is being written outlives a reload of this tab
    text(now) {
      sessionStorage.setItem(DRAFT, now);
    },
  },
  methods: {
    typed() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.$emit("typed", this.text), AFTER_MS);
    },
    entered(event) {
      if (event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.paint();
    },
    paint() {
      if (this.ready) this.$emit("paint", this.text);
    },
    remove(chip) {
      this.text = (this.text.slice(0, chip.start).trimEnd() + " " + this.text.slice(chip.end)).trim();
      this.changed();
    },
    put(names, value) {
      this.text = withParameter(this.text, names, value);
      this.changed();
    },
    changed() {
      this.$emit("typed", this.text);
      this.$refs.text.focus();
    },
    // called by the page: another prompt to go on with
    write(text) {
      this.text = text;
      this.changed();
      window.scrollTo({ top: 0, behavior: "smooth" });
    },
    clear() {
      this.text = "";
      this.changed();
    },
  },
  mounted() {
    if (this.text) this.$emit("typed", this.text);
    if (matchMedia("(hover: hover)").matches) this.$refs.text.focus({ preventScroll: true });
  },
};
