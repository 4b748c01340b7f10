// Package task says what downstream tasks are: the fields of their examples, the readers of the formats they are published in, and their
// scores. Examples and predictions go in, scores come out; there is no model here. Tasks that ask a language model for likelihoods give the
// requests and score the answers (Request, Likelihood); package eval puts them to a decoder.
//
// Scores are those of the programs that published results come from: scikit-learn, scipy, seqeval, rouge_score and SQuAD's scripts.
package task
