// Package adapt turns a pre-trained model into one for a task, from few labels. A FineTuning is the training of an encoder with a head (a
// model.Tasked) on Examples, of all weights or of an adapter; a Validation keeps the weights that do best. A Probe is logistic regression on frozen
// features, BagOfTokens the baseline that both must beat, and a FineTuning of fresh weights is the other: training from scratch.
//
// Texts makes the examples, and what is read by windows: Words of a text for a tagger (Tags says what it finds), a question with its context for a reader (Asked,
// Answers).
//
// A protocol that compares them gives each the same labels and the same test texts, and chooses what is to be chosen (the probe's and the
// bag's penalty) by cross-validation on those labels alone.
package adapt
