// How many parts got which decision lately, counted in steps of ten seconds: it takes the same memory at any rate.

const STEP = 10; // seconds
const STEPS_A_MINUTE = 60 / STEP;

export class DecisionTally {
  /** `minutes`: how far back it can be asked. */
  constructor(minutes) {
    this.minutes = minutes;
    this.steps = new Map();
  }

  /** `now`: seconds, by one clock. `odd`: the checks by which the part wasn't inspectable. */
  add(now, outcome, odd) {
    const step = Math.floor(now / STEP);
    if (!this.steps.has(step)) this.steps.set(step, { outcomes: {}, odd: {} });
    const counts = this.steps.get(step);
    for (const [kind, name] of [["outcomes", outcome], ...odd.map((check) => ["odd", check])]) counts[kind][name] = (counts[kind][name] ?? 0) + 1;
    for (const old of this.steps.keys()) if (old <= step - STEPS_A_MINUTE * this.minutes) this.steps.delete(old);
  }

  /** Of the `minutes` that ended `ago` minutes before now: {outcomes, odd}, by name, and `all` parts. */
  sum(now, minutes, ago = 0) {
    const last = Math.floor(now / STEP) - STEPS_A_MINUTE * ago;
    const sums = { outcomes: {}, odd: {}, all: 0 };
    for (let step = last; step > last - STEPS_A_MINUTE * minutes; step--) {
      const counts = this.steps.get(step) ?? { outcomes: {}, odd: {} };
      for (const kind of ["outcomes", "odd"]) for (const [name, number] of Object.entries(counts[kind])) sums[kind][name] = (sums[kind][name] ?? 0) + number;
    }
    for (const number of Object.values(sums.outcomes)) sums.all += number;
    return sums;
  }
}
