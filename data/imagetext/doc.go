// Package imagetext reads pairs of pictures and captions, and makes the batches of contrastive training from them.
//
// Pairs stand in tables that name picture files, in tar shards (WebDataset), or in folders of classes with templates for captions. Read
// lists them without decoding anything; a Set decodes, augments and encodes what a step draws. Batches are a pure function of (seed, step).
package imagetext
