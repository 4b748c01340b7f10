// Package generate continues sequences of token ids with a causal model: sampling, and decoding of many sequences at once.
//
// An Engine runs one ragged forward per step over all active sequences. Prompts enter in chunks beside sequences that already
// decode; a sequence that ends frees its slot for the next request. What a request yields is a function of the weights, the prompt,
// the options and the seed alone: neighbours in the batch, slots and the chunk size change no bit of it, because kernels
// promise rows that do not depend on other rows and random numbers are keyed by seed and position.
//
// Keys and values live in pages (see nn.KV) of float32, half precision or 8-bit blocks. What a request begins with and the cache still holds is not
// computed again; where the cache is full, the sequence that came last waits and is computed again later. Neither changes a result.
//
// With a draft model or look-up, tokens are proposed and checked several in one step, again without a change of any result.
//
// The package knows ids, not text: stop strings enter as a StopFunc.
package generate
