// Package split cuts text into the pieces that a byte-level BPE tokenizer works on, as the regular expressions of published
// tokenizers do. The well-known expressions have scanners written by hand: exact, linear in the text, without allocation.
// Any other expression runs on a backtracking engine under a time limit.
//
// The Unicode tables are those of Hugging Face tokenizers and of tiktoken (Unicode 16), not those of package unicode. Both
// programs only ever see valid UTF-8, and on valid UTF-8 the pieces are theirs; here each byte that is not part of a valid
// encoding counts as one symbol character (\p{So}, as U+FFFD does).
package split
