// Package generate continues sequences of token ids with a causal model: sampling, and decoding of many sequences at once.
//
// An Engine runs one ragged forward per step over all active sequences. Prompts enter in chunks beside sequences that already
// decode; a sequence that ends frees its slot for the next request. What a request yields is a function of the weights, the prompt,
// the options and the seed alone: neighbours in the batch, slots and the chunk size change no bit of it, because kernels
// promise rows that do not depend on other rows and random numbers are keyed by seed and position.
//
// The package knows ids, not text: stop strings enter as a StopFunc.
package generate
