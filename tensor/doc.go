// Package tensor is Plinth's automatic differentiation: a Tape whose methods are the ops.
//
// An op computes at once through the tape's kernel set and, when the tape records, leaves behind how to compute the gradient.
// Backward walks what was recorded in reverse. A tape that does not record runs the same model code for inference.
// One op is one file that holds its forward and its backward; shapes are in the comments, with the letters
// N tokens of all sequences, C width, F hidden width, H heads, D head dim, V vocabulary.
//
// The tape owns the memory of everything that ops return and reuses it from step to step: values and gradients of activations
// are handed back as soon as Backward has passed them, and a steady training step allocates almost nothing on the Go heap.
package tensor
