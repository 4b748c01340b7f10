// Package adapt turns a pre-trained decoder into a classifier from few labels: a linear probe on frozen features, or fine-tuning of all
// weights. BagOfTokens is the baseline that both must beat, and FineTune of fresh weights is the other: training from scratch.
//
// A protocol that compares them gives each the same labels and the same test texts, and chooses what is to be chosen (the probe's and the
// bag's penalty) by cross-validation on those labels alone.
package adapt
