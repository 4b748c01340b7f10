// Package bench is what the benchmark programs share: a peer process that takes turns with Plinth, ratios of pairs, and the
// state of the machine while they run.
package bench
