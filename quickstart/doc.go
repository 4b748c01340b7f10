// Package quickstart is the life cycle of a foundation model as one story: take a corpus, train a tokenizer, pre-train a small GPT, adapt it
// to a task with few labels and compare with doing without pre-training, and write a model folder and a report.
//
// The arithmetic to be done is fixed in advance, so that the same corpus and seed give the same model and the same figures, but for times.
package quickstart
